"""Lightning's logger of a W&B run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

if TYPE_CHECKING:
    from tpl_lightning.tracking.wandb_run import WandbRun


class RunLogger(WandbLogger):
    """WandbLogger on a run that is already open; it adds ``best/*`` and never stops the training.

    Args:
        ours: The open run.
        run: What wandb knows of it.
    """

    def __init__(self, ours: "WandbRun", run: Any) -> None:
        """Join the run."""
        super().__init__(project=run.project, save_dir=str(ours.run_dir), experiment=run)
        self._ours = ours

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """Log nothing: it has put the whole configuration under one key."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics, with the best so far of those that are followed."""
        row = {**metrics, **self._ours.best.update(metrics)}
        if step is not None:
            row["trainer/global_step"] = step
        self._ours.attempt(lambda run: run.log(row))
