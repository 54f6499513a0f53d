"""Help shows what a method reads, near misses are named."""

import pytest

from tpl_lightning.__main__ import main
from tpl_lightning.commands.options import options_help


def _keys(text):
    return [line.split("=")[0].strip() for line in text.splitlines() if line.startswith("  ") and line[2] != " "]


def test_a_method_shows_its_own_options_and_values():
    shown = options_help([])
    assert "model.aligner=path" in shown  # what the default method sets, not what the dataclass holds
    assert not [key for key in _keys(shown) if key.startswith(("head.", "dtan.", "dtw.", "bench."))]
    assert "head.margin" in _keys(options_help(["method=lav"]))
    assert "dtw.gamma" in _keys(options_help(["method=softdba"]))
    assert "model.hidden" in _keys(options_help(["method=tpl"]))
    assert "bench.minutes" in _keys(options_help([], row="bench"))


def test_few_enough_options_to_be_read():
    assert len(_keys(options_help([]))) <= 60


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["fit", "run.nam=x"], "run.name"),
        (["fit", "direct.smothness=1"], "direct.smoothness"),
        (["fti"], None),
        (["snyc"], "sync"),
        (["sync", "runs/a", "ot=3"], "out"),
    ],
)
def test_a_near_miss_is_named(typed, meant, capsys):
    assert main(typed) == 2
    said = capsys.readouterr().err
    assert ("did you mean" in said) == (meant is not None)
    if meant:
        assert f"`{meant}`" in said
