"""Tables of scores in the terminal: names, the best in bold, what could not be measured."""

import io
import math

import pytest
from rich.console import Console

from tests.conftest import write_cache
from tpl_lightning.data import EmbeddingCache
from tpl_lightning.evaluation import Scores
from tpl_lightning.reports.tables import data_source, method_name, print_scores


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("direct", "direct fit"),
        ("softdba:0.01+refined", "SoftDBA γ=0.01, refined"),
        ("dtan:wcss_prior", "DTAN (WCSS + prior)"),
        ("another", "another"),
    ],
)
def test_methods_have_names(method, name):
    assert method_name(method) == name


def test_rendered_clips_are_called_what_they_are(tmp_path):
    cache = EmbeddingCache(write_cache(tmp_path / "c.h5"))
    assert data_source(cache) == "tiny, waves features (c.h5)"
    cache = EmbeddingCache(write_cache(tmp_path / "p.h5", source="procedural: 8 clips"))
    assert data_source(cache).startswith("procedural clips rendered by this project (waves features)")


def scores(cbc, plp, spread, **others):
    figures = {"train/cbc": cbc, "test/plp": plp, "event_spread": spread, **others}
    return Scores(figures, {"jump [high]": figures})


def printed(rows):
    console = Console(record=True, width=120, file=io.StringIO())
    print_scores(rows, "a [b]\nsource", console)
    return console.export_text(clear=False), console.export_text(styles=True)


def test_a_row_per_method_and_action_with_the_best_in_bold():
    text, styled = printed({"linear": scores(0.5, 0.25, 0.02), "direct": scores(0.75, math.nan, 0.04)})
    lines = [line.split("│") for line in text.splitlines() if "│" in line]
    cells = [[cell.strip() for cell in line[1:-1]] for line in lines]
    assert cells[0] == ["jump [high]", "linear rescaling", "0.500", "0.250", "0.020"]
    assert cells[1] == ["", "direct fit", "0.750", "-", "0.040"]
    assert [row[0] for row in cells] == ["jump [high]", "", "all", ""]
    assert "Data: a [b] source" in text
    bold = [value for value in ("0.500", "0.250", "0.020", "0.750", "0.040") if f"\x1b[1m{value}" in styled]
    assert bold == ["0.250", "0.020", "0.750"]  # the spread is best where it is least


def test_what_was_measured_on_embeddings_and_what_could_not_be():
    found = {"test/phase_accuracy": 0.875, "test/phase_accuracy_raw": 0.5, "test/kendall_tau": 0.75}
    text, _ = printed({"direct": scores(0.5, 0.5, 0.1, warp_error=0.02, **found)})
    assert "phase accuracy 0.875 (0.500 before alignment), Kendall's τ 0.750." in text
    assert "warp error ↓" in text
    text, _ = printed({"direct": scores(math.nan, math.nan, math.nan)})
    assert "No labelled frames" in text
    assert "Embeddings of test videos" not in text
