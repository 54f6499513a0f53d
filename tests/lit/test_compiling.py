"""train.compile: the same training, with few sizes to compile for."""

import csv
from functools import partialmethod

import pytest
import torch

from tests.conftest import write_cache
from tpl_lightning.__main__ import main
from tpl_lightning.data.loading.batch import COMPILED_STEP

SMALL = [
    *("train.max_epochs=2", "train.val_every=1", "data.batch_size=4", "data.pca=3", "run.figures=false"),
    *("head.epochs=20", "head.dropout=0"),  # what is dropped depends on how far a batch is padded
]


@pytest.fixture
def one_backend(request, monkeypatch, tmp_path):
    """Compile with the given backend, into a folder of its own: what a killed process has left elsewhere is broken."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend=request.param))
    yield
    torch._dynamo.reset()


def _losses(folder, cache, *options):
    name = f"r{len(list(folder.iterdir()))}"
    place = [f"data.cache={cache}", f"run.dir={folder}", f"run.name={name}", "refine=false"]
    assert main(["fit", *place, *SMALL, *options]) == 0
    with (folder / name / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    name = "train/loss" if "train/loss" in rows[0] else "train/position_error"
    return [float(row[name]) for row in rows if row[name]]


CASES = [("tpl", "eager")] + [
    pytest.param(method, backend, marks=pytest.mark.slow)
    for method, backend in [("dtan", "eager"), ("tcc", "eager"), ("tpl_plus", "eager"), ("tpl", "inductor")]
]


@pytest.mark.parametrize(("method", "one_backend"), CASES, indirect=["one_backend"])
def test_a_compiled_network_learns_the_same(tmp_path, one_backend, method):
    cache, runs = write_cache(tmp_path / "c.h5", videos=12, frames=(20, 70)), tmp_path / "runs"
    runs.mkdir()
    plain = _losses(runs, cache, f"method={method}")
    assert not torch._dynamo.utils.counters["stats"]
    compiled = _losses(runs, cache, f"method={method}", "train.compile=true")
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    assert len(plain) >= 2
    assert compiled == pytest.approx(plain, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("one_backend", ["eager"], indirect=True)
def test_lengths_within_a_step_are_compiled_for_once(tmp_path, one_backend):
    """Three networks, to train, to validate and to align, batches of two and of three: not one for every length."""
    cache, runs = write_cache(tmp_path / "c.h5", videos=12, frames=(20, COMPILED_STEP)), tmp_path / "runs"
    runs.mkdir()
    split = ["data.folds=4", "data.batch_size=3"]
    assert _losses(runs, cache, "method=tpl", "train.compile=true", "train.max_epochs=4", *split)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 15
