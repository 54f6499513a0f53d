"""Phases of one video as stretches of time."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tpl_lightning.video import VideoClock

Unit = Literal["frames", "seconds", "share"]


@dataclass(frozen=True)
class PhaseSpans:
    """Stretches of a video, each with the index of its phase.

    Convention:
        A stretch runs from the frame nearest to its start up to, not including, the one nearest to its end. Starts and
        ends are frames of the file, seconds since its first frame, or shares of the video in [0, 1]. Frames in no
        stretch are unlabelled.
    """

    spans: tuple[tuple[float, float, int], ...]
    unit: Unit

    @property
    def num_phases(self) -> int:
        """Number of phases, as far as this video shows."""
        return 1 + max((phase for _, _, phase in self.spans), default=-1)

    def labels(self, clock: VideoClock, frames: np.ndarray | None = None) -> np.ndarray:
        """Return the phase of each row of a video's embedding.

        Args:
            clock: when each of the T rows is shown.
            frames: (T,) the frame of the file that each row is, as where the video is resampled; None: 0, 1, 2 ...

        Returns:
            Phase of each row, shape (T,), int16, -1 where unlabelled.
        """
        count = clock.num_frames
        labels = np.full(count, -1, dtype=np.int16)
        for start, end, phase in self.spans:
            if self.unit == "seconds":
                first, last = clock.first_after(start), clock.first_after(end)
            else:
                per_unit = count if self.unit == "share" else 1
                first, last = (np.floor(at * per_unit + 0.5) for at in (start, end))
                places = np.arange(count) if self.unit == "share" or frames is None else frames
                first, last = np.searchsorted(places, [first, last])
            labels[first:last] = phase
        return labels


def spans_of_labels(labels: np.ndarray, *, unit: Literal["frames", "share"] = "frames") -> PhaseSpans:
    """Return the stretches of equal label of a label per frame; with ``share`` they fit videos of another length."""
    labels = np.asarray(labels)
    cuts = np.flatnonzero(np.diff(labels)) + 1
    starts, ends = np.concatenate([[0], cuts]), np.concatenate([cuts, [len(labels)]])
    whole = len(labels) if unit == "share" else 1
    spans = [(float(a) / whole, float(b) / whole, int(labels[a])) for a, b in zip(starts, ends, strict=True)]
    return PhaseSpans(tuple(span for span in spans if span[2] >= 0), unit)


def numbered_phases(counts: Iterable[tuple[str, int]]) -> dict[str, list[str]]:
    """Name the phases of actions whose phases have numbers alone.

    Args:
        counts: Action and number of phases of each video.

    Example:
        >>> numbered_phases([("jump", 1), ("jump", 2)])
        {'jump': ['phase 1', 'phase 2']}
    """
    most: dict[str, int] = defaultdict(int)
    for action, count in counts:
        most[action] = max(most[action], count)
    return {action: [f"phase {number + 1}" for number in range(count)] for action, count in most.items()}
