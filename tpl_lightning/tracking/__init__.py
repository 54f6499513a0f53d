"""Mirroring of runs to Weights & Biases; the run directory stays the source of truth."""

from tpl_lightning.tracking.mirror import Mirror, current_mirror, mirror_run
from tpl_lightning.tracking.scores import BEST, BestScores, read_log

__all__ = ["BEST", "BestScores", "Mirror", "current_mirror", "mirror_run", "read_log"]
