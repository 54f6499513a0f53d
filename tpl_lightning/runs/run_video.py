"""One video of a run and its warp, and the file that shows it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from tpl_lightning.data import EmbeddingCache
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation import Warp, idle_frames
from tpl_lightning.video import VideoClock

NEW = "new"
"""The split of a video that the run has not seen."""

_ROUNDING = 1e-5  # a frame is much longer


def clock_of(cache: EmbeddingCache, row: int) -> VideoClock:
    """Return when each embedded frame of a video of a cache appears."""
    times, fps = cache.frame_times(row), float(cache.fps[row])
    return VideoClock.even(int(cache.lengths[row]), fps) if times is None else VideoClock(times, stated_fps=fps)


@dataclass(frozen=True)
class RunFile:
    """A video file: what it is called, what it shows, and its row in the run, if any."""

    video_id: str
    action: str
    path: Path
    row: int | None


@dataclass(frozen=True)
class RunVideo(Warp):
    """One video and where its frames lie on the prototype timeline of its action: a :class:`Warp` with a name.

    Convention: frames are those of the embedding.

    Attributes:
        video_id: Name.
        action: What it shows.
        split: train, val or test, or ``new``.
        clock: When each embedded frame appears.
        path: The file, None where there is none at hand.
        timed: Whether the times of the frames are known, and not only their rate.
        file_bytes: Size of the file that was embedded, 0 where unknown.
    """

    video_id: str
    action: str
    split: str
    clock: VideoClock
    path: Path | None = None
    timed: bool = False
    file_bytes: int = 0

    @property
    def fps(self) -> float:
        """Embedded frames per second."""
        return self.clock.fps

    @property
    def num_frames(self) -> int:
        """Embedded frames."""
        return len(self.position)

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


@dataclass
class Unreadable:
    """Collects the videos that cannot be read.

    Attributes:
        tell: Told of them, each with what is wrong, and of how many videos they are; they are left out if it returns.
            None: the first ends all with an error.
        problems: Those that are not told of yet.
    """

    tell: Callable[[Mapping[Path, str], int], None] | None = None
    problems: dict[Path, str] = field(default_factory=dict)

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """Note what is wrong with a file that is read inside."""
        try:
            yield
        except UserError as error:
            if self.tell is None:
                raise
            self.problems[path] = str(error)

    def report(self, total: int) -> None:
        """Tell of those among so many videos that could not be read, if there are any."""
        problems, self.problems = self.problems, {}
        if problems and self.tell is not None:
            self.tell(problems, total)
