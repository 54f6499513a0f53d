"""Linear rescaling: every video stretched to the prototype's length. The row that every method must beat."""

import numpy as np

from tpl_lightning.aligners.base import LengthAligner, median_lengths
from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation import prototype_grid

__all__ = ["LinearAligner"]


class LinearAligner(LengthAligner):
    """The identity warp: frame u of a video of L_i frames lies at u / (L_i - 1)."""

    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Take the median training length of each action as prototype length."""
        self.prototype_length = median_lengths(train)

    def positions(self, length: int, prototype_length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the identity on both timelines."""
        return prototype_grid(length), prototype_grid(prototype_length)
