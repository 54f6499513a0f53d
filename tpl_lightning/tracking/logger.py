"""Lightning's logger of a mirrored run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

if TYPE_CHECKING:
    from tpl_lightning.tracking.mirror import Mirror

__all__ = ["MirrorLogger"]


class MirrorLogger(WandbLogger):
    """WandbLogger on a run that is already open; it adds ``best/*`` and never stops the training.

    Args:
        mirror: The mirror.
        run: Its W&B run.
    """

    def __init__(self, mirror: "Mirror", run: Any) -> None:
        """Join the run."""
        super().__init__(project=run.project, save_dir=str(mirror.run_dir), experiment=run)
        self._mirror = mirror

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """Log nothing: the mirror has put the whole configuration under one key."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics, with the best so far of those that are followed."""
        row = {**metrics, **self._mirror.best.update(metrics)}
        if step is not None:
            row["trainer/global_step"] = step
        self._mirror.attempt(lambda run: run.log(row))
