"""Key points of a body over time: gaps where they are doubtful, centred on the body, scaled by its size."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Points:
    """Key points of one body."""

    names: tuple[str, ...]
    places: np.ndarray
    """(T, K, D) coordinates, D = 2 or 3; NaN where a point was not seen."""
    confidence: np.ndarray
    """(T, K), 1 where nothing states it."""
    first_frame: int = 0

    def doubtful(self, least: float) -> np.ndarray:
        """Return where points have less confidence than ``least``, or no place: gaps, (T, K)."""
        return np.logical_not((self.confidence >= least) & np.isfinite(self.places).all(axis=-1))


def fill_in(values: np.ndarray, holes: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
    """Interpolate the holes of each channel in time; before the first and past the last value it stays.

    Args:
        values: (T, C).
        holes: (T, C), not all of a channel.
        times: (T,) when the rows are; None: evenly.

    Example:
        >>> values = np.array([[0.0], [9.0], [4.0], [9.0]])
        >>> fill_in(values, values > 8)[:, 0].tolist()
        [0.0, 2.0, 4.0, 4.0]
    """
    places = np.arange(len(values)) if times is None else times
    filled = values.copy()
    for channel in np.flatnonzero(holes.any(axis=0)):
        bad = holes[:, channel]
        filled[bad, channel] = np.interp(places[bad], places[~bad], values[~bad, channel])
    return filled


def body_size(places: np.ndarray) -> float:
    """Return the median over frames of the root mean square distance of points (T, K, D) from their mean."""
    body = places - places.mean(axis=1, keepdims=True)
    return float(np.median(np.sqrt((body**2).sum(axis=-1).mean(axis=1))))


def centred_on_body(places: np.ndarray) -> np.ndarray:
    """Return coordinates (T, K, D) less the mean over points of each frame, over the body's size.

    Convention:
        The size is one number per recording, :func:`body_size`, so that bending does not count as distance. Where all
        points lie at one place there is none, and the result is 0.
    """
    body, size = places - places.mean(axis=1, keepdims=True), body_size(places)
    return np.asarray(body / size if size > 0 else np.zeros_like(body))
