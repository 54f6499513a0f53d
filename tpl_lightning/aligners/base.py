"""The one interface of all aligners."""

from abc import ABC, abstractmethod

import numpy as np

from tpl_lightning.alignment import Alignment
from tpl_lightning.data.cache import VideoSet
from tpl_lightning.errors import UserError

__all__ = ["Aligner", "LengthAligner", "median_lengths"]


def median_lengths(train: VideoSet) -> dict[str, int]:
    """Return the prototype length of each action: the median length of its training videos, in frames."""
    return {a: int(np.median(train.lengths[train.action == a])) for a in train.actions}


class Aligner(ABC):
    """Learns from training videos, then places the frames of any video on its action's prototype timeline."""

    @abstractmethod
    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Learn from the training videos (labels are never looked at to learn a warp)."""

    @abstractmethod
    def align(self, videos: VideoSet) -> Alignment:
        """Align videos of actions that were in the training set; no video changes another's result."""


class LengthAligner(Aligner):
    """Base of the rows that use nothing of a video but its length."""

    def __init__(self) -> None:
        """Start unfitted."""
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
        return Alignment.from_rows(
            video_id=videos.video_id,
            action=videos.action,
            split=videos.split,
            positions=[p for p, _ in rows],
            sources=[s for _, s in rows],
        )
