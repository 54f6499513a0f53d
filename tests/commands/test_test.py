"""``tpl test``: what it makes of a checkpoint."""

import shutil

import pytest
import torch

from tests.conftest import write_cache
from tpl_lightning.__main__ import main

QUIET = ("run.figures=false", "run.wandb=disabled", "run.progress=false")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("test")
    write_cache(folder / "c.h5", channels=3, frames=(8, 14))
    place = [f"data.cache={folder / 'c.h5'}", f"run.dir={folder / 'runs'}", "run.name=fitted", "data.pca=2"]
    assert main(["fit", "method=direct", *place, *QUIET]) == 0
    return folder


def _gone(labels):
    del labels["jump"]


def _short(labels):
    labels["jump"] = labels["jump"][:-1]


def _long(labels):
    labels["jump"] = torch.cat((labels["jump"], labels["jump"]))


def _square(labels):
    labels["turn"] = labels["turn"][None]


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (_gone, "KeyError: 'jump'"),
        (_short, "prototype of 'jump': labels of shape"),
        (_long, "prototype of 'jump': labels of shape"),
        (_square, "prototype of 'turn': labels of shape"),
    ],
)
def test_labels_of_other_prototypes_are_a_damaged_checkpoint(fitted, tmp_path, capsys, spoil, found):
    shutil.copytree(fitted / "runs" / "fitted", tmp_path / "runs" / "fitted")
    path = tmp_path / "runs" / "fitted" / "checkpoints" / "last.ckpt"
    state = torch.load(path, weights_only=True)
    spoil(state["prototype_labels"])
    torch.save(state, path)
    assert main(["test", str(tmp_path / "runs" / "fitted"), f"run.dir={tmp_path / 'runs'}", *QUIET]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"tpl: error: {path}: a checkpoint that is damaged" in said
    assert found in said
    assert not (tmp_path / "runs" / "fitted-test-c").exists()
