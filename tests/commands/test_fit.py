"""``tpl fit`` end to end on a tiny cache: files, figures, the last line, reproducibility."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.conftest import write_cache
from tests.small_training import short_fit
from tpl_lightning.__main__ import main
from tpl_lightning.evaluation.alignment import Alignment


@pytest.fixture
def run(tmp_path, cache_path, capsys):
    assert short_fit(tmp_path, cache_path, "first", "run.figures=true") == 0
    return tmp_path / "runs" / "first", capsys.readouterr().out


def test_fit_leaves_what_is_promised(run):
    folder, printed = run
    metrics = json.loads((folder / "metrics.json").read_text())
    last = printed.strip().splitlines()[-1]
    assert last == f"RESULT test/plp={metrics['test/plp']:.4f} train/cbc={metrics['train/cbc']:.4f} run={folder}"
    for row in ("linear rescaling", "zero-padding", "TPL", "Run directory"):
        assert row in printed
    for key in (
        "event_spread",
        "warp_error",
        "seconds/fit",
        "linear/test/plp",
        "pad/train/cbc",
        "test/plp/jump",
        "data_source",
    ):
        assert key in metrics, key
    for name in ("config.yaml", "alignment.h5", "metrics.csv", "checkpoints/last.ckpt"):
        assert (folder / name).is_file(), name
    for name in ("latents", "warps", "prototypes", "curves"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 5000, name
    log = (folder / "metrics.csv").read_text()
    for column in ("train/icae_weight", "train/icae", "train/reconstruction", "train/cbc"):
        assert column in log.splitlines()[0]
    alignment = Alignment.load(folder / "alignment.h5")
    for i in range(len(alignment)):
        assert (np.diff(alignment.position(i)) >= 0).all()
        assert alignment.position(i)[0] == 0
        assert alignment.position(i)[-1] == pytest.approx(1, abs=1e-6)


def test_checkpoint_holds_all_that_new_videos_need(run, tmp_path, capsys):
    folder, _ = run
    stored = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert stored["state_dict"]["prototypes"].abs().sum() > 0
    assert stored["state_dict"]["prototype_labels"].max() == 2
    assert "components" in stored["preprocessor"]
    other = write_cache(tmp_path / "other.h5", split=["test"] * 8, seed=0)
    assert main(["test", str(folder), f"data.cache={other}", f"run.dir={tmp_path / 'runs'}"]) == 0
    assert "RESULT test/plp=" in capsys.readouterr().out.strip().splitlines()[-1]
    # The same videos again: the stored prototypes give them the same warps and scores.
    assert main(["test", str(folder), f"run.dir={tmp_path / 'runs'}", f"data.cache={tmp_path / 'tiny.h5'}"]) == 0
    first = json.loads((folder / "metrics.json").read_text())
    again = json.loads((tmp_path / "runs" / "first-test-tiny" / "metrics.json").read_text())
    assert again["test/plp"] == pytest.approx(first["test/plp"])


def test_the_same_seed_gives_the_same_bits(tmp_path, cache_path, run):
    assert short_fit(tmp_path, cache_path, "second") == 0
    assert short_fit(tmp_path, cache_path, "third", "seed=1") == 0
    weights = {}
    for name in ("first", "second", "third"):
        state = torch.load(tmp_path / "runs" / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        weights[name] = torch.cat([v.flatten().double() for k, v in state.items() if k.startswith("model.")])
    assert torch.equal(weights["first"], weights["second"])
    assert not torch.equal(weights["first"], weights["third"])


def test_a_run_of_the_same_name_is_kept(tmp_path, cache_path, run, capsys):
    folder, _ = run
    before = (folder / "alignment.h5").read_bytes()
    assert short_fit(tmp_path, cache_path, "first", "method=linear") == 0
    assert (tmp_path / "runs" / "first.old-1" / "alignment.h5").read_bytes() == before
    assert "first.old-1" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["linear", "pad"])
def test_rows_without_learning(tmp_path, cache_path, method):
    assert short_fit(tmp_path, cache_path, "row", f"method={method}") == 0
    metrics = json.loads((tmp_path / "runs" / "row" / "metrics.json").read_text())
    assert 0 <= metrics["test/plp"] <= 1
    assert metrics["method"] == method


def test_folds_options_and_coarse_to_fine(tmp_path, cache_path):
    options = ["data.folds=2", "data.fold=1", "warp.num_cells=[4,8]", "model.latent_dim=2"]
    assert short_fit(tmp_path, cache_path, "folds", *options) == 0
    metrics = json.loads((tmp_path / "runs" / "folds" / "metrics.json").read_text())
    assert (metrics["videos/train"], metrics["videos/test"]) == (4, 4)


def test_procedural_data_are_called_what_they_are(tmp_path, capsys):
    path = write_cache(tmp_path / "p.h5", source="procedural: made by a test")
    assert short_fit(tmp_path, path, "p", "method=linear") == 0
    assert "not comparable" in capsys.readouterr().out
    assert "not comparable" in json.loads((tmp_path / "runs" / "p" / "metrics.json").read_text())["data_source"]


def test_unlabelled_videos_can_be_aligned(tmp_path, capsys):
    path = write_cache(tmp_path / "u.h5", labels=False)
    assert short_fit(tmp_path, path, "u") == 0
    assert "need phase labels" in capsys.readouterr().out
    assert json.loads((tmp_path / "runs" / "u" / "metrics.json").read_text())["test/plp"] is None


def test_finished_work_does_not_fail_over_pictures_and_prints(tmp_path):
    """The output of a notebook, in a code that has no arrows: results are there, exit code 0."""
    cache = write_cache(tmp_path / "c.h5", actions=("[/b]$x^{", "go\nup"))
    env = {
        **os.environ,
        "MPLBACKEND": "module://no.such.backend",
        "PYTHONIOENCODING": "ascii",
        "WANDB_MODE": "disabled",
    }
    command = [sys.executable, "-m", "tpl_lightning", "fit", f"data.cache={cache}", "method=linear", "run.name=ü"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "RESULT" in done.stdout
    assert "not drawn" not in done.stderr
    assert (tmp_path / "runs" / "ü" / "metrics.json").is_file()
    assert (tmp_path / "runs" / "ü" / "figures" / "warps.png").is_file()


def test_open_ends_that_a_method_does_not_have_are_said(tmp_path, cache_path, capsys):
    short_fit(tmp_path, cache_path, "closed", "method=linear", "warp.ends=open")
    assert "warp.ends=open has no effect" in capsys.readouterr().out
    short_fit(tmp_path, cache_path, "open", "method=direct", "warp.ends=open")
    assert "has no effect" not in capsys.readouterr().out
