"""The examples of docs/howto/python.md, run one after the other."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Trainer

from tests.conftest import write_cache
from tpl_lightning.__main__ import main

PAGE = (Path(__file__).parent.parent / "docs" / "howto" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
SMALL = ["model.hidden=8", "model.aligner_filters=2", "model.aligner_depth=3", "data.pca=4"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the cache that the page names."""
    (tmp_path / "data").mkdir()
    write_cache(tmp_path / "data" / "genai.h5", videos=12)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _numbers(found):
    return {key: float(value) for key, value in found[0].items()}


def test_ten_lines_and_what_follows():
    names = {}
    assert len(BLOCKS[0].strip().splitlines()) <= 12
    exec(BLOCKS[0], names)
    exec(BLOCKS[1], names)
    assert {x.shape for x in names["warped"]} == {(63, 2)}
    sync, videos, labels = names["sync"], names["videos"], names["labels"]
    assert sync.score(videos[3:], labels=labels[3:]) > 0.9
    assert 0 < float(names["alignment"].warp(3)(0.5)) < 1


def test_caches_and_runs(here, capsys):
    fit = ["fit", "data.cache=data/genai.h5", "run.name=first", "run.figures=false", "run.progress=false"]
    assert main([*fit, "method=linear"]) == 0
    names = {}
    exec(BLOCKS[2].replace('"run.progress": False', '"run.progress": False, "train.max_epochs": 1'), names)
    assert np.isfinite(names["sync"].score())
    assert names["run"].metrics["method"] == "linear"


def test_a_trainer_of_ones_own_gives_the_figures_of_metrics_json(here):
    fit = ["fit", "data.cache=data/genai.h5", "run.name=first", "run.figures=false", "run.progress=false"]
    assert main([*fit, "method=tpl", "train.max_epochs=20", *SMALL]) == 0
    metrics = json.loads((here / "runs" / "first" / "metrics.json").read_text())
    small = "".join(f', "{option}"' for option in SMALL)
    quiet = "max_epochs=20, logger=False, enable_checkpointing=False, enable_progress_bar=False, "
    example = (
        BLOCKS[3].replace('"train.max_epochs=20"', f'"train.max_epochs=20"{small}').replace("max_epochs=20, ", quiet)
    )
    example = example.replace("trainer.test(", "found = trainer.test(")
    names = {}
    assert len([line for line in BLOCKS[3].splitlines() if line and not line.startswith("from")]) <= 10
    exec(example, names)
    assert _numbers(names["found"])["test/plp"] == pytest.approx(metrics["test/plp"], abs=1e-7)
    assert metrics["test/plp"] > 0.3
    stored = torch.load(here / "runs" / "first" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    for name, values in names["module"].state_dict().items():
        assert torch.equal(values.cpu(), stored[name]), name
    names["Trainer"] = lambda: Trainer(logger=False, enable_progress_bar=False)
    exec(BLOCKS[4].replace("Trainer().test(", "found = Trainer().test("), names)
    assert _numbers(names["found"])["test/plp"] == pytest.approx(metrics["test/plp"], abs=1e-7)


def test_a_metric_in_a_foreign_module():
    names = {}
    exec(BLOCKS[5], names)
    line = torch.linspace(0, 1, 10).repeat(2, 1)
    labels = torch.tensor([[0] * 4 + [1] * 3 + [2] * 3, [0] * 5 + [1] * 2 + [2] * 3])
    count = torch.tensor([10, 10])
    batch = (line, labels, count, torch.zeros(2, dtype=torch.long), line, count)
    trainer = Trainer(logger=False, enable_progress_bar=False, enable_checkpointing=False, accelerator="cpu")
    # Ties go to the lower phase: the fifth frame of the first video alone is wrong.
    found = trainer.validate(names["Mine"](), torch.utils.data.DataLoader([batch], batch_size=None), verbose=False)
    assert _numbers(found)["val/cbc"] == pytest.approx(0.95)
