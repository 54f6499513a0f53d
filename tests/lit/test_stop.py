"""Trainings end soundly: all ranks agree on signals, and a loss that is not finite keeps the last good checkpoint."""

import json
import multiprocessing
import os
import signal

import numpy as np
import pytest
import torch

from tests.conftest import free_port, write_cache
from tests.small_training import small_fit
from tpl_lightning.evaluation import Alignment
from tpl_lightning.lit import checkpoints
from tpl_lightning.lit.checkpoints import StepSeeds
from tpl_lightning.lit.module import TPLModule
from tpl_lightning.lit.stop import StopSignals

TINY = ["method=tpl", "train.max_epochs=6", "data.batch_size=2", "trainer.accelerator=cpu"]


def _fit(folder, *options):
    return small_fit(folder / "c.h5", folder / "runs", "r", *TINY, *options)


def _stopped_rank(rank, port, folder, number, ranks_told):
    names = ("RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
    os.environ |= dict(zip(names, map(str, (rank, rank, 0, 2, 2)), strict=True))
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    torch.set_num_threads(1)
    seed = StepSeeds.on_train_batch_start

    def tell(self, trainer, module, batch, batch_idx):
        if rank in ranks_told and (trainer.current_epoch, batch_idx) == (2, rank):  # not at the same step
            os.kill(os.getpid(), number)
        seed(self, trainer, module, batch, batch_idx)

    StepSeeds.on_train_batch_start = tell
    try:
        code = _fit(folder)
    except SystemExit as end:
        code = end.code
    os._exit(code)


@pytest.mark.parametrize(
    ("number", "ranks_told", "code"),
    [(signal.SIGTERM, (0, 1), 143), (signal.SIGTERM, (1,), 143), (signal.SIGINT, (0,), 130)],
)
def test_a_signal_to_any_rank_stops_all_after_a_save(tmp_path, number, ranks_told, code, capfd):
    write_cache(tmp_path / "c.h5", videos=16)
    port, context = free_port(), multiprocessing.get_context("fork")
    ranks = [context.Process(target=_stopped_rank, args=(r, port, tmp_path, number, ranks_told)) for r in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(90)
    assert [process.exitcode for process in ranks] == [code, code]
    assert "is saved; go on with: tpl fit resume=" in capfd.readouterr().out
    state = torch.load(tmp_path / "runs" / "r" / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["epoch"] == 2
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["r"]


@pytest.fixture
def hangup():
    """SIGHUP as a terminal has it: the tests may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_signals_are_noted_and_handlers_given_back(hangup):
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert (stop.number, stop.exit_code) == (signal.SIGHUP, 129)
    assert signal.getsignal(signal.SIGTERM) is before
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path, capsys, monkeypatch):
    write_cache(tmp_path / "c.h5")
    monkeypatch.setattr(checkpoints, "AT_RISK_S", -1.0)
    step = TPLModule.training_step
    monkeypatch.setattr(
        TPLModule, "training_step", lambda self, *a: step(self, *a) * (torch.nan if self.current_epoch == 3 else 1.0)
    )
    assert _fit(tmp_path) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "diverged: a loss is not finite" in error
    assert "epoch 3" in error
    state = torch.load(tmp_path / "runs" / "r" / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["epoch"] == 2
    assert all(torch.isfinite(values).all() for values in state["state_dict"].values())
    assert not (tmp_path / "runs" / "r" / "metrics.json").exists()


def test_weights_that_explode_are_one_line(tmp_path, capsys):
    write_cache(tmp_path / "c.h5")
    assert _fit(tmp_path, "train.lr=1e8", "train.clip=0") == 2
    error = capsys.readouterr().err
    assert "the training diverged" in error.splitlines()[-1]
    assert "Traceback" not in error


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("method", ["tpl", "tpl_plus"])
def test_2000_steps_at_ten_times_the_learning_rate_end_soundly(tmp_path, capsys, method, precision):
    write_cache(tmp_path / "c.h5")
    whole = ["train.max_epochs=2000", "data.batch_size=8", "train.lr=0.01", f"trainer.precision={precision}"]
    code = _fit(tmp_path, f"method={method}", *whole)
    state = torch.load(tmp_path / "runs" / "r" / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(torch.isfinite(values).all() for values in state["state_dict"].values())
    if code == 2:
        assert "the training diverged" in capsys.readouterr().err.splitlines()[-1]
        return
    assert (code, state["global_step"]) == (0, 2000)
    alignment = Alignment.load(tmp_path / "runs" / "r" / "alignment.h5")
    for i in range(len(alignment)):
        position = alignment.position(i)
        assert np.isfinite(position).all()
        assert (np.diff(position) >= 0).all()
    assert 0 <= json.loads((tmp_path / "runs" / "r" / "metrics.json").read_text())["test/plp"] <= 1
