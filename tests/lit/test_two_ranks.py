"""A training over two gloo processes against the same training in one: equal weights, logs and results."""

import csv
import json
import multiprocessing
import os

import pytest
import torch

from tests.conftest import free_port, write_cache
from tests.small_training import small_fit
from tpl_lightning.lit import epochs

TINY = ["train.max_epochs=10", "train.val_every=5", "loss.t0=5", "trainer.accelerator=cpu"]
# Training videos of each action; an epoch has two steps of at most 16 videos.
CASES = {
    "equal": {"jump": 16, "turn": 16},
    # 29 videos: ranks hold unequal counts, and an action of two videos is missing on a rank, or on both, most times.
    "unequal": {"jump": 25, "turn": 2, "kick": 2},
}


def _make(folder, counts):
    """Write a cache with so many training videos per action, and two validation and two test videos of the first."""
    actions = [action for action, count in counts.items() for _ in range(count)]
    first = next(iter(counts))
    split = ["train"] * len(actions) + ["val"] * 2 + ["test"] * 2
    return write_cache(folder / "c.h5", videos=len(split), actions=(*actions, *[first] * 4), split=split)


def _fit(folder, name, devices, *options):
    size = f"data.batch_size={16 // devices}"
    return small_fit(folder / "c.h5", folder / "runs", name, size, *TINY, *options)


def _rank(rank, port, *arguments):
    names = ("RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
    os.environ |= dict(zip(names, map(str, (rank, rank, 0, 2, 2)), strict=True))  # as torchrun does
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    torch.set_num_threads(1)
    os._exit(_fit(*arguments))


def _fit_on_two(*arguments):
    port, context = free_port(), multiprocessing.get_context("fork")
    ranks = [context.Process(target=_rank, args=(rank, port, *arguments)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(120)
    assert [process.exitcode for process in ranks] == [0, 0]


def _results(folder, name):
    run = folder / "runs" / name
    weights = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    with (run / "metrics.csv").open(newline="") as file:
        log = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    return weights, log, json.loads((run / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("method", "case"), [("tpl", "equal"), ("tpl", "unequal"), ("dtan", "unequal"), ("tpl_plus", "unequal")]
)
def test_two_ranks_of_eight_equal_one_of_sixteen(tmp_path, method, case):
    _make(tmp_path, CASES[case])
    assert _fit(tmp_path, "one", 1, f"method={method}") == 0
    _fit_on_two(tmp_path, "two", 2, f"method={method}", "trainer.strategy=ddp", "trainer.devices=2")
    (one, log, metrics), (two, log_two, metrics_two) = _results(tmp_path, "one"), _results(tmp_path, "two")
    assert max(row["step"] for row in log) == 19
    for key, value in one.items():
        if key == "model.space.projection":  # axes of one variance may turn; distances do not see it
            value, two[key] = (p @ p.T / p.square().sum() for p in (value, two[key]))
        torch.testing.assert_close(two[key], value, rtol=0, atol=1e-5, msg=f"{key} {(two[key] - value).abs().max()}")
    for row, row_two in zip(log, log_two, strict=True):
        assert row_two == pytest.approx(row, abs=1e-4)
    for key in ("test/plp", "train/cbc", "event_spread"):
        assert metrics_two[key] == pytest.approx(metrics[key], abs=1e-6)


def test_ranks_of_torchrun_share_the_steps_of_the_default_method(tmp_path, monkeypatch):
    monkeypatch.setattr(epochs, "STEPS", 4)
    _make(tmp_path, CASES["unequal"])
    options = ["train.max_epochs=null", "refine=false"]
    assert _fit(tmp_path, "one", 1, *options) == 0
    _fit_on_two(tmp_path, "two", 2, *options)
    (_, log, metrics), (_, log_two, metrics_two) = _results(tmp_path, "one"), _results(tmp_path, "two")
    assert max(row["step"] for row in log) == max(row["step"] for row in log_two) == 3
    assert metrics_two["test/plp"] == pytest.approx(metrics["test/plp"], abs=1e-6)
