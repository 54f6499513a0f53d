"""Zero-padding ("Euclid" in the paper): frame u of every video faces frame u of the longest one."""

import numpy as np

from tpl_lightning.aligners.base import LengthAligner, longest_lengths
from tpl_lightning.data import VideoSet

__all__ = ["PadAligner"]


class PadAligner(LengthAligner):
    """No warp and no stretching: time is counted in frames on the timeline of the longest training video."""

    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Take the longest training length of each action as prototype length."""
        self.prototype_length = longest_lengths(train)

    def positions(self, length: int, prototype_length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return frame numbers over the length; frames past the prototype's end fall on its last point."""
        positions = np.minimum(np.arange(length) / (prototype_length - 1), 1.0)
        # Where the prototype outlasts the video its last frame stands still.
        return positions, np.minimum(np.arange(prototype_length) / (length - 1), 1.0)
