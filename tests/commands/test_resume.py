"""Runs that are stopped in whatever way go on, and end with the bits of a run that was not."""

import csv
import json
import multiprocessing
import os
import signal

import pytest
import torch

from tests.conftest import write_cache
from tpl_lightning.__main__ import main
from tpl_lightning.lit import checkpoints
from tpl_lightning.lit.checkpoints import StepSeeds

TINY = [
    "train.max_epochs=4",
    "train.val_every=2",
    "model.hidden=8",
    "model.aligner_filters=2",
    "model.aligner_depth=3",
    "data.pca=4",
    "data.batch_size=2",
    "head.epochs=4",
    "run.progress=false",
    "run.figures=false",
]
STEP = (2, 1)  # epoch and batch of the run at which it is stopped


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Save after every step, so that runs are stopped in the middle of an epoch as well."""
    monkeypatch.setattr(checkpoints, "AT_RISK_S", -1.0)
    monkeypatch.setattr(checkpoints, "LOOK_EVERY", 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    write_cache(folder / "tiny.h5", videos=16, split=["train"] * 10 + ["val"] * 2 + ["test"] * 4)
    return folder


def _fit(folder, name, *options):
    place = [f"data.cache={folder / 'tiny.h5'}", f"run.dir={folder / 'runs'}", f"run.name={name}"]
    return main(["fit", *place, *TINY, *options])


def _resume(folder, name, *options):
    return main(["fit", f"resume={folder / 'runs' / name}", *options])


def _scores(folder, name):
    metrics = json.loads((folder / "runs" / name / "metrics.json").read_text())
    return {key: value for key, value in metrics.items() if isinstance(value, float) and "seconds/" not in key}


@pytest.fixture(scope="module")
def whole(folder):
    """Weights and log of an uninterrupted run, by method."""
    results = {}

    def get(method):
        if method not in results:
            assert _fit(folder, f"whole-{method}", f"method={method}") == 0
            results[method] = _result(folder, f"whole-{method}")
        return results[method]

    return get


def _tensors(tree, prefix=""):
    if isinstance(tree, torch.Tensor):
        return {prefix: tree}
    items = enumerate(tree) if isinstance(tree, list | tuple) else tree.items() if isinstance(tree, dict) else ()
    return {key: value for name, part in items for key, value in _tensors(part, f"{prefix}/{name}").items()}


def _result(folder, name):
    run = folder / "runs" / name
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    with (run / "metrics.csv").open(newline="") as file:
        return _tensors(state), [{k: v for k, v in row.items() if v} for row in csv.DictReader(file)]


def _same(one, other):
    assert one[0].keys() == other[0].keys()
    for key, value in one[0].items():
        torch.testing.assert_close(value, other[0][key], rtol=0, atol=0, equal_nan=True, msg=key)
    assert len(one[1]) == len(other[1])
    for row, expected in zip(one[1], other[1], strict=True):
        # The epoch that was cut has the mean of its steps after the cut.
        values = row.keys() if float(row["epoch"]) != STEP[0] else {"epoch", "step"}
        assert {key: row[key] for key in values} == {key: expected[key] for key in values}


def _kill(number=signal.SIGKILL):
    os.kill(os.getpid(), number)


def _in_a_step(number):
    seed = StepSeeds.on_train_batch_start

    def seed_or_stop(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == STEP:
            _kill(number)
        seed(self, trainer, pl_module, batch, batch_idx)

    StepSeeds.on_train_batch_start = seed_or_stop


def _half_written():
    write = torch.save

    def write_half(state, file):
        write(state, file)
        if state["epoch"] == STEP[0]:
            file.truncate(file.tell() // 2)
            _kill()

    torch.save = write_half


def _just_saved():
    save = checkpoints.save_checkpoint

    def save_and_die(trainer, path):
        save(trainer, path)
        if trainer.current_epoch == STEP[0]:
            _kill()

    checkpoints.save_checkpoint = save_and_die


STOPS = {
    "in a step": lambda: _in_a_step(signal.SIGKILL),
    "while a checkpoint is written": _half_written,
    "after a checkpoint": _just_saved,
    "SIGTERM": lambda: _in_a_step(signal.SIGTERM),
    "SIGUSR1": lambda: _in_a_step(signal.SIGUSR1),
}


def _stopped_fit(stop, arguments):
    torch.set_num_threads(1)
    STOPS[stop]()
    os._exit(_code(lambda: _fit(*arguments)))


def _code(call):
    try:
        return call()
    except SystemExit as end:
        return end.code or 0


def _stop(stop, *arguments):
    """Run a fit in a process of its own until it is stopped, and return its exit code."""
    # A fork starts at once and has the patches of the test.
    process = multiprocessing.get_context("fork").Process(target=_stopped_fit, args=(stop, arguments))
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize("stop", STOPS)
def test_ends_as_if_never_stopped(folder, whole, stop, capfd):
    name = f"tpl-{stop.replace(' ', '-')}"
    is_kind = stop.startswith("SIG")
    assert _stop(stop, folder, name, "method=tpl") == (128 + signal.SIGTERM if is_kind else -signal.SIGKILL)
    if is_kind:
        assert f"step 12 is saved; go on with: tpl fit resume={folder / 'runs' / name}" in capfd.readouterr().out
    assert main(["test", str(folder / "runs" / name)]) == 2
    assert "its training has not ended; go on with: tpl fit resume=" in capfd.readouterr().err
    assert _resume(folder, name) == 0
    assert "Resumed after epoch 2 of 4" in capfd.readouterr().err
    _same(_result(folder, name), whole("tpl"))


@pytest.mark.parametrize("method", ["dtan", "tcc", "lav", "tpl_plus"])
def test_every_trained_method_resumes(folder, whole, method):
    assert _stop("in a step", folder, method, f"method={method}") == -signal.SIGKILL
    assert _resume(folder, method) == 0
    _same(_result(folder, method), whole(method))


def test_a_finished_run_is_not_trained_again(folder, whole, capsys):
    whole("tpl"), whole("tpl_plus")
    for method in ("tpl", "tpl_plus"):
        before, scores = _result(folder, f"whole-{method}"), _scores(folder, f"whole-{method}")
        capsys.readouterr()
        assert _resume(folder, f"whole-{method}", "run.figures=false") == 0
        assert "RESULT test/plp=" in capsys.readouterr().out
        _same(_result(folder, f"whole-{method}"), before)
        assert _scores(folder, f"whole-{method}") == scores
    assert any(key.startswith("diagnosis/") for key in scores)


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(folder, whole, monkeypatch):
    monkeypatch.setattr(checkpoints, "save_checkpoint", lambda *_: None)
    assert _stop("in a step", folder, "early", "method=tpl") == -signal.SIGKILL
    assert not (folder / "runs" / "early" / "checkpoints" / "last.ckpt").exists()
    monkeypatch.undo()
    assert _resume(folder, "early") == 0
    _same(_result(folder, "early"), whole("tpl"))


def test_a_job_that_slurm_queues_again_goes_on(folder, whole, monkeypatch, capfd):
    assert _stop("SIGTERM", folder, "job", "method=tpl") == 143
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert _fit(folder, "job", "method=tpl") == 0
    assert "Resumed after epoch 2 of 4" in capfd.readouterr().err
    _same(_result(folder, "job"), whole("tpl"))


def test_a_run_of_the_former_matcher_is_not_trained_over(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("method: tpl_plus\nmatcher:\n  size: 32\n")
    assert main(["fit", f"resume={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert "matching network" in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml"]


def test_contradictions_are_refused_by_name(folder, whole, capsys, tmp_path):
    whole("tpl")
    run = folder / "runs" / "whole-tpl"
    before = (run / "config.yaml").read_bytes(), (run / "checkpoints" / "last.ckpt").read_bytes()
    other = write_cache(tmp_path / "other.h5", seed=5)
    for arguments, words in (
        (["train.lr=0.5"], ["train.lr=0.5: contradicts the run", "which has train.lr="]),
        (["method=dtan"], ["method=dtan: contradicts the run", "method=tpl"]),
        (["train.max_epochs=9"], ["train.max_epochs=9", "train.max_epochs=4"]),
        (["run.name=new"], ["run.name=new: contradicts"]),
        (["seed=1"], ["seed=1: contradicts"]),
        (["train.typo=1"], ["typo"]),
        ([f"data.cache={other}"], ["fingerprint", "new run"]),
    ):
        assert _resume(folder, "whole-tpl", *arguments) == 2, arguments
        error = capsys.readouterr().err
        assert error.splitlines()[-1].startswith("tpl: error: ")
        assert all(word in error for word in words), error
        assert "Traceback" not in error
    whole("tpl_plus")
    assert _resume(folder, "whole-tpl_plus", f"data.cache={other}") == 2
    assert "fingerprint" in capsys.readouterr().err
    assert _resume(folder, "nowhere") == 2
    assert "no run to resume there" in capsys.readouterr().err
    assert ((run / "config.yaml").read_bytes(), (run / "checkpoints" / "last.ckpt").read_bytes()) == before


def test_a_broken_checkpoint_is_named(folder, capsys):
    assert _stop("in a step", folder, "broken", "method=tpl") == -signal.SIGKILL
    file = folder / "runs" / "broken" / "checkpoints" / "last.ckpt"
    os.truncate(file, file.stat().st_size // 2)
    assert _resume(folder, "broken") == 2
    assert f"{file}: not a readable checkpoint" in capsys.readouterr().err
