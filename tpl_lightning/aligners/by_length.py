"""The rows that use nothing of a video but its length: linear rescaling and zero-padding."""

from abc import abstractmethod
from pathlib import Path

import numpy as np

from tpl_lightning.aligners.base import Aligner
from tpl_lightning.aligners.metadata import longest_lengths, median_lengths
from tpl_lightning.config import Config
from tpl_lightning.data import VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation import Alignment, prototype_grid
from tpl_lightning.tracking import WandbRun


class LengthAligner(Aligner):
    """Base of both.

    Attributes:
        prototype_length: Frames of each action's prototype; empty before ``fit``.
    """

    def __init__(self, config: Config, run_dir: Path, wandb_run: WandbRun | None = None) -> None:
        """Start unfitted."""
        super().__init__(config, run_dir, wandb_run)
        self.prototype_length: dict[str, int] = {}

    @abstractmethod
    def positions(self, length: int, prototype_length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return prototype positions of the frames and source positions of the prototype points."""

    def align(self, videos: VideoSet) -> Alignment:
        """Place every video by its length alone."""
        unknown = sorted(set(videos.actions) - set(self.prototype_length))
        if unknown:
            known = ", ".join(self.prototype_length)
            raise UserError(f"action {unknown[0]!r} has no training video; align videos of: {known}.")
        rows = [
            self.positions(int(n), self.prototype_length[str(a)])
            for n, a in zip(videos.lengths, videos.action, strict=True)
        ]
        return Alignment.of_videos(videos, [p for p, _ in rows], [s for _, s in rows])


class LinearAligner(LengthAligner):
    """The identity warp: frame u of a video of L_i frames lies at u / (L_i - 1). The row every method must beat."""

    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Take the median training length of each action as prototype length."""
        self.prototype_length = median_lengths(train)

    def positions(self, length: int, prototype_length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the identity on both timelines."""
        return prototype_grid(length), prototype_grid(prototype_length)


class PadAligner(LengthAligner):
    """Zero-padding ("Euclid" in the paper): frame u of every video faces frame u of the longest one.

    No warp and no stretching: time is counted in frames on the timeline of the longest training video.
    """

    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Take the longest training length of each action as prototype length."""
        self.prototype_length = longest_lengths(train)

    def positions(self, length: int, prototype_length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return frame numbers over the length; frames past the prototype's end fall on its last point."""
        positions = np.minimum(np.arange(length) / (prototype_length - 1), 1.0)
        # Where the prototype outlasts the video its last frame stands still.
        return positions, np.minimum(np.arange(prototype_length) / (length - 1), 1.0)
