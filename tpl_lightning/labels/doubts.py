"""What is odd about some videos or their labels: found, gathered, and warned of in one line each."""

import warnings
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

import numpy as np

from tpl_lightning.labels.spans import PhaseSpans
from tpl_lightning.video import VideoClock

_SHOWN = 5  # names that a warning gives


class Doubts:
    """Gathers what is odd about some videos.

    Example:
        >>> doubts = Doubts()
        >>> for video in ("a", "b"):
        ...     doubts.note("labels lie past the end of the video", video)
        >>> doubts.found
        {'labels lie past the end of the video': ['a', 'b']}
    """

    def __init__(self) -> None:
        """Nothing is odd yet."""
        self._names: dict[str, list[str]] = defaultdict(list)

    @property
    def found(self) -> dict[str, list[str]]:
        """Return each doubt and the videos that it is about."""
        return dict(self._names)

    def note(self, doubt: str, video: str) -> None:
        """Note a doubt about a video; an empty one is none."""
        if doubt:
            self._names[doubt].append(video)

    def warn(self, path: Path | str) -> None:
        """Warn of each doubt in one line that begins with a file."""
        for doubt, videos in self._names.items():
            warn_of_names(path, doubt, videos)


def warn_of_names(path: Path | str, what: str, names: Collection[str]) -> None:
    """Warn in one line, with the first names."""
    shown = ", ".join(list(names)[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    warnings.warn(f"{path}: {what}: {shown}", stacklevel=3)


def doubt_of(spans: PhaseSpans, clock: VideoClock, frames: np.ndarray | None = None) -> str:
    """Return what is odd about the stretches of a video, empty if nothing is.

    Args:
        spans: the stretches.
        clock: when each of the T rows is shown, as for :meth:`PhaseSpans.labels`.
        frames: (T,) the frame of the file that each row is; None: 0, 1, 2 ...
    """
    times = {time for start, end, _ in spans.spans for time in (start, end) if 0 < time < float("inf")}
    if spans.unit == "share" or not times:
        return ""
    if spans.unit == "frames":
        places = np.arange(clock.num_frames) if frames is None else frames
        frame = float(np.diff(places).max()) if len(places) > 1 else 1.0
        whole = float(places[-1]) + frame
    else:
        frame = 1.0 / clock.usual_fps
        whole = clock.last_s + frame
    latest = max(times)
    if latest <= whole + 2 * frame:
        return ""
    # One far end may mean "to the end"; of milliseconds all lie far out.
    all_far = len(times) > 1 and min(times) > whole and latest > 20 * whole
    if spans.unit == "seconds" and all_far and latest / 1000 <= 1.5 * whole:
        return "times look like milliseconds, expected seconds"
    return "labels lie past the end of the video"
