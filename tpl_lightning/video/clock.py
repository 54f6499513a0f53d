"""The clock of a video: when each of its frames appears. Everything that turns frames into seconds or back asks it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

DEFAULT_FPS = 24.0
"""Frame rate of a video that states neither times nor a rate."""

# A clock is even where every frame begins within this share of an interval of an even one.
_EVEN = 0.25
# Longer than this many usual intervals is a pause, or frames that were left out.
_PAUSE = 1.5
_TIE_S = 1e-9


@dataclass(frozen=True)
class VideoClock:
    """The time at which each frame of a video appears.

    Convention:
        Frame u is on screen from ``times_s[u]`` until the next one appears; the last one for a usual interval. Frames
        may be fractional: between two frames, time runs evenly. Seconds are those since the first frame.

    Attributes:
        times_s: (F,) float64, from 0 on, never falling.
        start_s: When the first frame appears by the file's own clock, where it starts late; players count from its 0.
        stated_fps: Frames per second that the file states; believed where the times agree with it, as these are
            rounded in some containers.
    """

    times_s: np.ndarray
    start_s: float = 0.0
    stated_fps: float | None = None

    @classmethod
    def even(cls, num_frames: int, fps: float) -> "VideoClock":
        """Return a clock that runs evenly."""
        return cls(np.arange(num_frames) / fps, stated_fps=fps)

    @property
    def num_frames(self) -> int:
        """Number of frames F."""
        return len(self.times_s)

    @cached_property
    def fps(self) -> float:
        """Frames per second on average."""
        stated = self.stated_fps
        if self.num_frames < 2 or not self.times_s[-1] > 0:
            return stated or DEFAULT_FPS
        if stated is not None and self._fits(stated):
            return stated
        return float((self.num_frames - 1) / self.times_s[-1])

    @cached_property
    def usual_fps(self) -> float:
        """Frames per second where the video runs: pauses and frames that were left out do not count."""
        steps = np.diff(self.times_s)
        steps = steps[steps > 0]
        if self.is_even or not len(steps):
            return self.fps
        return float(1 / steps[steps <= _PAUSE * np.median(steps)].mean())

    @cached_property
    def is_even(self) -> bool:
        """Whether frames come at an even rate, up to rounding."""
        return self._fits(self.fps)

    def _fits(self, fps: float) -> bool:
        off = self.times_s - np.arange(self.num_frames) / fps
        return bool(np.abs(off).max(initial=0.0) < _EVEN / fps)

    @property
    def last_s(self) -> float:
        """When the last frame appears."""
        return float(self.times_s[-1])

    def seconds(self, frame: np.ndarray) -> np.ndarray:
        """Return the seconds at frames; past the last one, time goes on at its usual pace."""
        over = np.maximum(np.asarray(frame) - (self.num_frames - 1), 0.0) / self.usual_fps
        return np.interp(frame, np.arange(self.num_frames), self.times_s) + over

    def frame(self, seconds: np.ndarray) -> np.ndarray:
        """Return the (fractional) frame at seconds; within the video."""
        return np.interp(seconds, self.times_s, np.arange(self.num_frames))

    def first_after(self, seconds: float) -> int:
        """Return the first frame of a stretch that begins at some seconds: the nearest frame, F past the end.

        Convention: of two frames as near the later, as an instant belongs to what follows it.
        """
        return int(np.searchsorted(self._middles, seconds, side="right"))

    @cached_property
    def _middles(self) -> np.ndarray:
        frames = np.arange(self.num_frames)
        # An instant half-way between two frames must not depend on rounding.
        return (self.seconds(frames) + self.seconds(frames + 1.0)) / 2 - _TIE_S
