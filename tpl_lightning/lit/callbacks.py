"""Callbacks: annealing of the ICAE weight, prototypes after training, progress."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tpl_lightning.data import Batch, EmbeddingDataModule
from tpl_lightning.functional import PrototypeAccumulator, length_mask, resample, within_ends
from tpl_lightning.functional.losses import annealed_weight
from tpl_lightning.functional.scores import prototype_labels
from tpl_lightning.lit.checkpoints import save_checkpoint
from tpl_lightning.lit.module import AlignmentModule, TPLModule
from tpl_lightning.metrics import CycleBackConsistency


class IcaeWeightAnnealing(Callback):
    """Move lambda_t = 1 / (1 + exp(-alpha (t - t0))) [6] with the epoch t, and log it.

    Args:
        alpha: Steepness per epoch.
        t0: Epoch at which the weight is 1/2; None: half of the trainer's epochs.
        fractional: Whether t counts the steps of an epoch as its parts, (b + 1/2) / B in step b of B; where a training
            has few epochs of many steps. Else t is the number of the epoch.
    """

    def __init__(self, alpha: float = 2.0, t0: float | None = None, *, fractional: bool = False) -> None:
        """Keep the options."""
        self.alpha, self.t0, self.fractional = alpha, t0, fractional

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the weight of the epoch in whose middle a run is resumed, for which no epoch start comes."""
        self._set(trainer, pl_module, trainer.current_epoch)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the weight of this epoch."""
        if not self.fractional:
            weight = self._set(trainer, pl_module, trainer.current_epoch)
            pl_module.log("train/icae_weight", weight, on_step=False, on_epoch=True)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Set the weight of this step."""
        if self.fractional:
            epoch = trainer.current_epoch + (batch_idx + 0.5) / max(int(trainer.num_training_batches), 1)
            weight = self._set(trainer, pl_module, epoch)
            pl_module.log("train/icae_weight", weight, on_step=False, on_epoch=True, batch_size=1)

    def _set(self, trainer: Trainer, pl_module: LightningModule, epoch: float) -> float:
        assert isinstance(pl_module, TPLModule)
        t0 = (trainer.max_epochs or 0) / 2 if self.t0 is None else self.t0
        weight = float(annealed_weight(epoch, self.alpha, t0))
        pl_module.icae_weight = weight
        return weight


class PrototypeBuilder(Callback):
    """After training: prototypes over the whole training set, stored in the module and in the checkpoint.

    Args:
        checkpoint: File to save the finished module to; None: the caller saves.
    """

    def __init__(self, checkpoint: Path | None = None) -> None:
        """Keep the path."""
        self.checkpoint = checkpoint

    @torch.no_grad()
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Build U^ [7], the latent prototypes and the labels A^ [8], then save."""
        assert isinstance(pl_module, AlignmentModule)
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, EmbeddingDataModule)
        was_training = pl_module.training
        pl_module.eval()
        count, longest, _ = pl_module.prototypes.shape
        features = PrototypeAccumulator(pl_module.prototypes)
        latents = PrototypeAccumulator(pl_module.latent_prototypes)
        votes = CycleBackConsistency(
            num_actions=count, num_phases=pl_module.train_cbc.num_phases, max_length=longest
        ).to(pl_module.device)

        def batches() -> Iterator[Batch]:
            return data.batches(data.prototype_dataloader(), pl_module)

        pl_module.finish_prototypes(batches)
        for batch in batches():
            output = pl_module(batch)
            lengths = pl_module.prototype_lengths[batch.action]
            mask = length_mask(lengths, output.source_position.shape[1]) & within_ends(output.source_position)
            aligned = resample(batch.embeddings, output.source_position, batch.lengths)
            features.add(aligned, batch.action, mask)
            if pl_module.latents_on_prototype:
                latents.add(output.aligned_latent, batch.action, mask)
            votes.update(output.position, batch.labels, batch.lengths, batch.action, output.source_position, lengths)
        pl_module.prototypes.copy_(features.finish())
        if pl_module.latents_on_prototype:
            pl_module.latent_prototypes.copy_(latents.finish())
        votes.sync_if_needed()
        pl_module.prototype_labels.copy_(prototype_labels(votes.votes))
        pl_module.train(was_training)
        pl_module.is_finished = True
        if self.checkpoint is not None:
            save_checkpoint(trainer, self.checkpoint)


class EpochProgress(Callback):
    """One bar over all epochs with the losses; a line now and then where stderr is no terminal.

    Lightning's own bar counts batches within an epoch; with few videos an epoch is one batch.
    """

    shown = ("icae", "wcss", "prior", "reconstruction", "icae_weight", "position_error")
    """What is shown of what is logged under ``train/``."""

    def __init__(self, every: int = 25) -> None:
        """Keep how many epochs lie between two lines."""
        self.every = every
        self.console = Console(stderr=True, force_terminal=sys.stderr.isatty())  # whatever FORCE_COLOR says
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        if not (trainer.is_global_zero and self.console.is_terminal):
            return
        columns: list[Any] = [
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs  {task.description}"),
            TimeRemainingColumn(),
        ]
        self._progress = Progress(*columns, console=self.console)
        self._progress.start()
        self._task = self._progress.add_task("", total=trainer.max_epochs, completed=trainer.current_epoch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move on."""
        if not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch + 1
        shown = {k: trainer.callback_metrics.get(f"train/{k}") for k in self.shown}
        text = "  ".join(f"{k} {float(v):.4f}" for k, v in shown.items() if v is not None)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=epoch, description=text)
        elif epoch == 1 or epoch % self.every == 0 or epoch == trainer.max_epochs:
            self.console.print(f"epoch {epoch}/{trainer.max_epochs}  {text}", highlight=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Close the bar, so that the error stands on a line of its own."""
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
