"""Figures of an alignment while it is being learned."""

from collections.abc import Sequence
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
from tpl_lightning.tracking import WandbRun

_PER_ACTION = 8  # videos drawn: enough to see what happens; a panel costs .1 s
_ACTIONS = 2


def snapshot_epochs(max_epochs: int) -> tuple[int, ...]:
    """Return the epochs after which is drawn: a third and two thirds; the end has the run's own figures."""
    return tuple(sorted({max(max_epochs // 3, 1), max(2 * max_epochs // 3, 1)} - {max_epochs}))


def _few(videos: VideoSet) -> VideoSet:
    """Return the first videos of the first actions."""
    rows = [np.flatnonzero(videos.action == action)[:_PER_ACTION] for action in videos.actions[:_ACTIONS]]
    return videos.select(np.sort(np.concatenate(rows)))


class Snapshots(Callback):
    """Draws latents, warps and prototypes of some training videos at a few epochs, and logs them to W&B.

    The figures lie in ``figures/epoch-NNNN/``. Drawing takes no random number of the training's, so its result is
    the same with and without.

    Args:
        config: The configuration.
        run_dir: The run directory.
        videos: Training videos.
        wandb_run: Where the figures go.
        source: What the data are, for the titles.
        epochs: After which to draw, from 1.
    """

    def __init__(
        self,
        config: Config,
        run_dir: Path,
        videos: VideoSet,
        *,
        wandb_run: WandbRun,
        source: str,
        epochs: Sequence[int],
    ) -> None:
        """Choose the videos."""
        # Read in this process: workers would be started for a handful of videos, and draw a random number.
        self.config = replace(config, data=replace(config.data, num_workers=0))
        self.run_dir, self.videos, self.wandb_run = run_dir, _few(videos), wandb_run
        self.source, self.epochs = source, frozenset(epochs)

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
                title = f"Epoch {epoch} of {trainer.max_epochs}. {self.source}"
                draw_alignment(folder, aligner, alignment, self.videos, scores, title)
        finally:
            pl_module.train(was_training)
        self.wandb_run.log_images(folder, prefix="figures/epochs", epoch=epoch - 1)
