"""One video of a run and its warp, and the file that shows it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tpl_lightning.evaluation import Warp, idle_frames
from tpl_lightning.video import VideoClock

__all__ = ["NEW", "RunFile", "RunVideo"]

NEW = "new"
"""The split of a video that the run has not seen."""

_ROUNDING = 1e-5  # a frame is much longer


@dataclass(frozen=True)
class RunVideo:
    """One video and where its frames lie on the prototype timeline of its action.

    Convention: frames are those of the embedding; they may be fractional. Prototype time is in [0, 1]. Both maps never
    decrease and are linear between the points that the alignment stores; what lies outside is read at the near end.

    Attributes:
        video_id: Name.
        action: What it shows.
        split: train, val or test, or ``new``.
        path: The file, None where there is none at hand.
        fps: Embedded frames per second.
        position: T^-theta at the L_i frames.
        source: T^theta at the L prototype points.
        times_s: Seconds from the video's first frame to each embedded one; None: they come evenly at ``fps``.
        file_bytes: Size of the file that was embedded, 0 where unknown.
    """

    video_id: str
    action: str
    split: str
    path: Path | None
    fps: float
    position: np.ndarray
    source: np.ndarray
    times_s: np.ndarray | None = None
    file_bytes: int = 0

    @cached_property
    def clock(self) -> VideoClock:
        """When each embedded frame appears."""
        if self.times_s is None:
            return VideoClock.even(self.num_frames, self.fps)
        return VideoClock(self.times_s, stated_fps=self.fps)

    @property
    def warp(self) -> Warp:
        """T^theta and its inverse."""
        return Warp(self.position, self.source)

    @property
    def num_frames(self) -> int:
        """Embedded frames."""
        return len(self.position)

    def frame(self, prototype_time: np.ndarray) -> np.ndarray:
        """Return the frame at prototype times, T^theta."""
        return self.warp.frame(prototype_time)

    def has_frame(self, prototype_time: np.ndarray) -> np.ndarray:
        """Return at which prototype times the video has a frame, bool: elsewhere it has not begun, or is over."""
        return self.warp.has_frame(prototype_time)

    @cached_property
    def acting(self) -> tuple[int, int]:
        """First and last frame that face a prototype point: those before and behind are idle."""
        before, after = idle_frames(self.position, self.source)
        first = min(int(before.sum()), self.num_frames - 1)
        return first, max(self.num_frames - 1 - int(after.sum()), first)

    def acts(self, frame: np.ndarray) -> np.ndarray:
        """Return which (fractional) frames face a prototype point, bool; the others are idle."""
        first, last = self.acting
        return (np.asarray(frame) > first - 1 + _ROUNDING) & (np.asarray(frame) < last + 1 - _ROUNDING)

    def prototype_time(self, frame: np.ndarray) -> np.ndarray:
        """Return the prototype time of frames, T^-theta."""
        return self.warp.prototype_time(frame)


@dataclass(frozen=True)
class RunFile:
    """A video file: what it is called, what it shows, and its row in the run, if any."""

    video_id: str
    action: str
    path: Path
    row: int | None
