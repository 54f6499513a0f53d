"""Checkpoints of a training: when they are saved, whole or not at all, never unsound; seeds of single steps."""

import signal
from types import SimpleNamespace

import pytest
import torch

from tpl_lightning.errors import UserError
from tpl_lightning.lit import checkpoints
from tpl_lightning.lit.checkpoints import Checkpoints, StepSeeds, WholeFiles
from tpl_lightning.lit.stop import StopSignals


class _Trainer:
    """What of Lightning's Trainer is looked at; it counts its checkpoints by the steps at which they came."""

    is_global_zero, should_stop, loggers = True, False, ()
    strategy = SimpleNamespace(broadcast=lambda value: value)

    def __init__(self, epochs=4, batches=3):
        self.max_epochs, self.num_training_batches = epochs, batches
        self.current_epoch = self.global_step = self.global_rank = 0
        self.lightning_module = torch.nn.Linear(2, 2)
        self.saved = []
        vars(self)["_signal_connector"] = SimpleNamespace(received_sigterm=False)  # as Lightning calls it

    @property
    def received_sigterm(self):
        return vars(self)["_signal_connector"].received_sigterm

    def save_checkpoint(self, path, weights_only):
        self.saved.append(self.global_step)

    def run(self, callback, losses=1.0):
        """Go through the epochs, one loss for all steps or one for each."""
        losses = [losses] * (self.max_epochs * self.num_training_batches) if isinstance(losses, float) else losses
        callback.on_train_start(self, self.lightning_module)
        for epoch in range(self.max_epochs):
            self.current_epoch = epoch
            for number in range(self.num_training_batches):
                self.global_step += 1
                outputs = {"loss": torch.tensor(losses[self.global_step - 1])}
                callback.on_train_batch_end(self, self.lightning_module, outputs, None, number)
            callback.on_train_epoch_end(self, self.lightning_module)
        callback.on_train_end(self, self.lightning_module)


def _checkpoints(tmp_path):
    return Checkpoints(tmp_path / "runs" / "r" / "checkpoints" / "last.ckpt", "of the cache", StopSignals())


def test_the_cache_is_told():
    assert Checkpoints(None, "of the cache", StopSignals()).state_dict() == {"fingerprint": "of the cache"}


@pytest.mark.parametrize(("at_risk", "saved"), [(1e9, [3]), (-1.0, [3, 6, 9])])
def test_the_first_epoch_is_saved_and_later_ones_now_and_then_but_not_the_last(tmp_path, monkeypatch, at_risk, saved):
    monkeypatch.setattr(checkpoints, "AT_RISK_S", at_risk)
    trainer = _Trainer()
    trainer.run(_checkpoints(tmp_path))
    assert trainer.saved == saved


def test_long_epochs_are_saved_within(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "AT_RISK_S", -1.0)
    monkeypatch.setattr(checkpoints, "LOOK_EVERY", 4)
    trainer = _Trainer(epochs=2, batches=10)
    trainer.run(_checkpoints(tmp_path))
    assert trainer.saved == [4, 8, 10, 14, 18]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_training_unsaved(tmp_path, bad):
    trainer = _Trainer()
    with pytest.raises(UserError, match=r"a loss is not finite at step 5 \(epoch 1\); take a lower learning rate\.$"):
        trainer.run(_checkpoints(tmp_path), [1.0] * 4 + [bad] * 8)
    assert trainer.saved == [3]


def test_what_was_saved_before_is_named(tmp_path):
    callback, trainer = _checkpoints(tmp_path), _Trainer()
    callback.path.parent.mkdir(parents=True)
    callback.path.touch()
    with pytest.raises(UserError, match=r"what was saved before it is kept in .*last\.ckpt\.$"):
        trainer.run(callback, [float("nan")] * 12)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    callback, trainer = _checkpoints(tmp_path), _Trainer()
    trainer.lightning_module.bias.data[1] = torch.nan
    for hook in (callback.on_train_epoch_end, callback.on_train_end):
        with pytest.raises(UserError, match="a weight is not finite"):
            hook(trainer, None)
    assert trainer.saved == []


def test_a_signal_is_acted_on_at_the_end_of_the_step_and_how_to_go_on_is_said(tmp_path, capsys):
    callback, trainer = _checkpoints(tmp_path), _Trainer()
    callback.stop.number = signal.SIGTERM
    trainer.global_step = 1
    callback.on_train_batch_end(trainer, None, torch.tensor(1.0), None, 0)
    assert trainer.received_sigterm
    assert trainer.saved == [1]
    callback.on_exception(trainer, None, KeyboardInterrupt())
    trainer.global_step = 2
    callback.on_exception(trainer, None, KeyboardInterrupt())
    callback.on_exception(trainer, None, ValueError())
    go_on = f"; go on with: tpl fit resume={tmp_path / 'runs' / 'r'}"
    assert capsys.readouterr().out.splitlines() == [f"step 1 is saved{go_on}", f"stopped{go_on}"]


def test_files_are_whole_or_as_they_were(tmp_path):
    path = tmp_path / "last.ckpt"
    WholeFiles().save_checkpoint({"epoch": 3, "weight": torch.ones(2)}, path)
    assert torch.load(path, weights_only=True)["epoch"] == 3
    with pytest.raises((AttributeError, TypeError, RuntimeError)):
        WholeFiles().save_checkpoint({"epoch": 4, "weight": lambda: None}, path)  # cannot be pickled
    assert torch.load(path, weights_only=True)["epoch"] == 3
    assert [found.name for found in tmp_path.iterdir()] == ["last.ckpt"]


def test_every_step_has_a_seed_of_its_own_whatever_came_before():
    def draw(seed=1, rank=0, epoch=2, batch=5):
        torch.rand(3)
        trainer = _Trainer()
        trainer.global_rank, trainer.current_epoch = rank, epoch
        StepSeeds(seed).on_train_batch_start(trainer, None, None, batch)
        return torch.rand(1).item()

    assert draw() == draw()
    others = [draw(), draw(seed=2), draw(rank=1), draw(epoch=3), draw(batch=6), draw(epoch=5, batch=2)]
    assert len(set(others)) == len(others)
