"""Checkpoints while a network trains: whole or not at all, and enough in them to go on as if never stopped.

Three things make a resumed run equal an uninterrupted one, bit for bit on a CPU: Lightning restores weights, optimiser,
schedule and counters; the data module serves what is left of an epoch (:class:`EmbeddingDataModule`); and every step
draws its random numbers from a seed of its own (:class:`StepSeeds`), so none have to be restored.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from tpl_lightning.errors import UserError
from tpl_lightning.files import save_state
from tpl_lightning.functional import most_of_ranks
from tpl_lightning.lit.stop import StopSignals

AT_RISK_S = 15.0  # of training that a kill may cost; saving takes some hundredths
LOOK_EVERY = 250  # between looks at the clock within an epoch: with several ranks a look is a message


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Save whole or not at all. Every rank must call this."""
    trainer.save_checkpoint(path, weights_only=False)


class WholeFiles(TorchCheckpointIO):
    """Has Lightning write checkpoints beside their target and rename them; its own go through TMPDIR."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write one."""
        save_state(checkpoint, Path(path))


class StepSeeds(Callback):
    """Seed torch anew before every step, by the run's seed, rank, epoch and batch.

    Dropout and noise are so the same whether a run was interrupted or not, and differ between ranks.

    Args:
        seed: Seed of the run.
    """

    def __init__(self, seed: int) -> None:
        """Keep the seed."""
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed."""
        key = [self.seed, trainer.global_rank, trainer.current_epoch, batch_idx]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))


class Checkpoints(Callback):
    """Keep one file current: after the first epoch, then every few seconds of training, and before a signal ends it.

    What is saved is sound: the first loss or weight that is not finite ends the training, and the file stays as it was.
    The last epoch is not saved here: whoever finishes the training saves what it made of it.

    Args:
        path: The file.
        fingerprint: Of the cache that is trained on.
        stop: Signals that ask to stop.
    """

    def __init__(self, path: Path, fingerprint: str, stop: StopSignals) -> None:
        """Keep the path."""
        self.path, self.fingerprint, self.stop = path, fingerprint, stop
        self._last: float | None = None
        self._saved_step = -1
        self._is_bad: Tensor | None = None  # on the device; looked at where a look does not hold it up

    def state_dict(self) -> dict[str, Any]:
        """Return what tells the cache."""
        return {"fingerprint": self.fingerprint}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals back from Lightning, whose handler talks to the other ranks from wherever it is."""
        self.stop.install()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Agree with the other ranks whether to stop, and save within a long epoch."""
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        bad = ~torch.isfinite(loss.detach()).all()
        self._is_bad = bad if self._is_bad is None else self._is_bad | bad
        is_last = batch_idx + 1 >= trainer.num_training_batches
        look = is_last or self._is_bad.device.type == "cpu"
        self._agree(trainer, is_bad=look and bool(self._is_bad))
        if is_last:
            return  # the end of the epoch comes, with its scores
        if trainer.received_sigterm or ((batch_idx + 1) % LOOK_EVERY == 0 and self._is_due(trainer)):
            self._save(trainer)

    def _agree(self, trainer: Trainer, *, is_bad: bool) -> None:
        """Learn of the signals and losses of all ranks, and act on them as all do."""
        stop, diverged = most_of_ranks(self.stop.number, int(is_bad))
        if diverged:
            raise self._diverged(trainer, "loss")
        self.stop.number = stop
        if stop:
            trainer._signal_connector.received_sigterm = True  # has Lightning end the loops at its next good place

    def _diverged(self, trainer: Trainer, what: str) -> UserError:
        kept = f"; what was saved before it is kept in {self.path}" if self.path.is_file() else ""
        return UserError(
            f"the training diverged: a {what} is not finite at step {trainer.global_step} (epoch "
            f"{trainer.current_epoch}); take a lower learning rate{kept}."
        )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after an epoch."""
        is_last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if is_last:
            trainer._signal_connector.received_sigterm = False  # what is left is to save what was learned
        elif trainer.received_sigterm or self._is_due(trainer):
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check what others are about to save."""
        self._check_weights(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Say how to go on; what could be saved was saved at the end of the step."""
        if isinstance(exception, SIGTERMException | KeyboardInterrupt) and trainer.is_global_zero:
            saved = f"step {trainer.global_step} is saved" if self._saved_step == trainer.global_step else "stopped"
            print(f"{saved}; go on with: tpl fit resume={self.path.parent.parent}", flush=True)

    def _is_due(self, trainer: Trainer) -> bool:
        due = self._last is None or time.monotonic() - self._last > AT_RISK_S
        return bool(trainer.strategy.broadcast(due))

    def _check_weights(self, trainer: Trainer) -> None:
        weights = [torch.isfinite(p.detach()).all() for p in trainer.lightning_module.parameters()]
        if not bool(torch.stack(weights).all()):
            raise self._diverged(trainer, "weight")

    def _save(self, trainer: Trainer) -> None:
        self._check_weights(trainer)
        for logger in trainer.loggers:
            logger.save()  # a log that ends before the checkpoint could not be continued
        save_checkpoint(trainer, self.path)
        self._last, self._saved_step = time.monotonic(), trainer.global_step
