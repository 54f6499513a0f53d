"""Figures of an alignment while it is being learned."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

from tpl_lightning.aligners import TPLAligner
from tpl_lightning.config import Config
from tpl_lightning.data import VideoSet
from tpl_lightning.errors import best_effort
from tpl_lightning.evaluation import evaluate
from tpl_lightning.lit import AlignmentModule
from tpl_lightning.reports.figures import draw_alignment
from tpl_lightning.reports.tables import data_source
from tpl_lightning.tracking import WandbRun

_PER_ACTION = 8  # videos drawn: enough to see what happens; a panel costs .1 s
_ACTIONS = 2


def snapshot_epochs(max_epochs: int) -> tuple[int, ...]:
    """Return the epochs after which is drawn: a third and two thirds; the end has the run's own figures."""
    return tuple(sorted({max(max_epochs // 3, 1), max(2 * max_epochs // 3, 1)} - {max_epochs}))


class Snapshots(Callback):
    """Draws latents, warps and prototypes of some training videos at a few epochs, and logs them to W&B.

    The figures lie in ``figures/epoch-NNNN/``. Drawing takes no random number of the training's, so its result is
    the same with and without.

    Args:
        config: The configuration, with a number of epochs.
        run_dir: The run directory.
        train: The training videos; the first ones of the first actions are drawn.
        wandb_run: Where the figures go.
    """

    def __init__(self, config: Config, run_dir: Path, train: VideoSet, wandb_run: WandbRun) -> None:
        """Choose the videos."""
        # Read in this process: workers would be started for a handful of videos, and draw a random number.
        self.config = replace(config, data=replace(config.data, num_workers=0))
        rows = [np.flatnonzero(train.action == action)[:_PER_ACTION] for action in train.actions[:_ACTIONS]]
        self.run_dir, self.videos, self.wandb_run = run_dir, train.select(np.sort(np.concatenate(rows))), wandb_run
        self.epochs = snapshot_epochs(config.train.max_epochs or 1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, where it is time."""
        epoch = trainer.current_epoch + 1
        if epoch not in self.epochs or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, AlignmentModule)
        folder = self.run_dir / "figures" / f"epoch-{epoch:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        aligner = TPLAligner(self.config, self.run_dir)
        aligner.module = pl_module
        was_training = pl_module.training
        pl_module.eval()
        try:
            with best_effort("figures of this epoch are not drawn"), torch.random.fork_rng(enabled=True):
                alignment = aligner.align(self.videos)
                scores = evaluate(alignment, self.videos)
                title = f"Epoch {epoch} of {trainer.max_epochs}. {data_source(self.videos.cache)}"
                draw_alignment(folder, aligner, alignment, self.videos, scores, title)
        finally:
            pl_module.train(was_training)
        self.wandb_run.log_images(folder, prefix="figures/epochs", epoch=epoch - 1)
