"""Checkpoints while a network trains: whole or not at all, and enough in them to go on as if never stopped.

Three things make a resumed run equal an uninterrupted one, bit for bit on a CPU: Lightning restores weights, optimiser,
schedule and counters; the data module serves what is left of an epoch (:class:`EmbeddingDataModule`); and every step
draws its random numbers from a seed of its own (:class:`StepSeeds`), so none have to be restored.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

__all__ = ["Checkpoints", "StepSeeds", "save_checkpoint"]

_SECONDS = 15.0  # of training that a kill may cost; saving takes some hundredths
_STEPS = 250  # between looks at the clock within an epoch: with several ranks a look is a message


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Save whole or not at all: to a file beside it, then a rename. Every rank must call this."""
    temporary = path.with_name(f".{path.name}.tmp")
    trainer.save_checkpoint(temporary, weights_only=False)
    if trainer.is_global_zero:
        os.replace(temporary, path)
    trainer.strategy.barrier()


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
    """Keep one file current: after the first epoch, then every few seconds of training, and on SIGTERM.

    The last epoch is not saved here: whoever finishes the training saves what it made of it.

    Args:
        path: The file.
        fingerprint: Of the cache that is trained on.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        """Keep the path."""
        self.path, self.fingerprint = path, fingerprint
        self._last: float | None = None
        self._saved_step = -1

    def state_dict(self) -> dict[str, Any]:
        """Return what tells the cache."""
        return {"fingerprint": self.fingerprint}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within a long epoch."""
        if batch_idx + 1 >= trainer.num_training_batches:
            return  # the end of the epoch comes, with its scores
        if trainer.received_sigterm or ((batch_idx + 1) % _STEPS == 0 and self._is_due(trainer)):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after an epoch."""
        is_last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not is_last and (trainer.received_sigterm or self._is_due(trainer)):
            self._save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Say how to go on; what could be saved was saved at the end of the step."""
        if isinstance(exception, SIGTERMException | KeyboardInterrupt) and trainer.is_global_zero:
            saved = f"step {trainer.global_step} is saved" if self._saved_step == trainer.global_step else "stopped"
            print(f"{saved}; go on with: tpl fit resume={self.path.parent.parent}", flush=True)

    def _is_due(self, trainer: Trainer) -> bool:
        due = self._last is None or time.monotonic() - self._last > _SECONDS
        return bool(trainer.strategy.broadcast(due))

    def _save(self, trainer: Trainer) -> None:
        for logger in trainer.loggers:
            logger.save()  # a log that ends before the checkpoint could not be continued
        save_checkpoint(trainer, self.path)
        self._last, self._saved_step = time.monotonic(), trainer.global_step
