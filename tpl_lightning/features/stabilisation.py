"""Taking out of a video what its camera does: each picture is moved, zoomed and rolled onto the video's median.

A camera that drifts moves every edge across the cells of a picture, so features cannot tell its drift from a change of
pose. The median over time shows the background and a blur of what moves; a robust fit looks at what is like it. Lucas,
Kanade, "An iterative image registration technique", 1981, with Tukey's weights and the gradient of the median in place
of that of each picture (Baker and Matthews, "Lucas-Kanade 20 years on", 2004), coarse to fine.
"""

from collections.abc import Iterable, Iterator

import numpy as np

_WINDOW = 256
"""Frames at the start whose median all are fitted to; longer videos are worked on in pieces."""
_SAMPLED = 41  # of them, for the median
_STEPS = (3, 2)  # at a quarter of the size, then at half of it
_LIMITS = np.array([0.08, 0.08, 0.15, 0.15], np.float32)  # of zoom, roll (radians), shifts (half a picture's width)
_NOISE = 0.02  # grey values that may always differ
_RIDGE = 1e-3
_AT_ONCE = 8  # frames that are moved at a time: they fit into the processor's cache


def stabilised(chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Fit the pictures of a video to their median.

    Args:
        chunks: grey values in [0, 1] of the frames in order, shapes (T, S, S), float32; S a multiple of 4.

    Yields:
        The moved pictures, in pieces (T, S, S) of other lengths; what comes from outside a picture repeats its border.
    """
    waiting: list[np.ndarray] = []
    levels: list[_Level] | None = None
    for chunk in chunks:
        if levels is None:
            waiting.append(chunk)
            if sum(map(len, waiting)) < _WINDOW:
                continue
            chunk = np.concatenate(waiting)
            waiting.clear()
            levels = _levels(chunk[:_WINDOW])
        yield _fitted(chunk, levels)
    if levels is None and waiting:
        chunk = np.concatenate(waiting)
        yield _fitted(chunk, _levels(chunk)) if len(chunk) else chunk


class _Level:
    """The median picture at one size, and what a fit to it needs."""

    def __init__(self, pictures: np.ndarray, steps: int) -> None:
        self.steps = steps
        self.median: np.ndarray = np.median(pictures, axis=0)
        size = len(self.median)
        rows, columns = (g * (size / 2) for g in np.gradient(self.median))
        y, x = _places(size)
        # How the median changes with zoom, roll and shifts; places are in [-1, 1].
        self.change = np.stack([columns * x + rows * y, rows * x - columns * y, columns, rows], -1).reshape(-1, 4)
        self.products = (self.change[:, :, None] * self.change[:, None]).reshape(-1, 16)

    def improved(self, pictures: np.ndarray, motion: np.ndarray) -> np.ndarray:
        """Return better motions (T, 4) of small pictures (T, S', S') than those given."""
        for _ in range(self.steps):
            residual = (_moved(pictures, motion) - self.median).reshape(len(pictures), -1)
            typical = np.median(np.abs(residual[:, ::3]), axis=1, keepdims=True)  # of a third of the pixels
            scale = 3 * np.maximum(np.float32(1.48) * typical, np.float32(_NOISE / 3))
            weight = np.square(np.clip(1 - np.square(residual / scale), 0, None))
            matrix = (weight @ self.products).reshape(-1, 4, 4) + _RIDGE * np.eye(4, dtype=np.float32)
            gradient = (weight * residual) @ self.change
            motion = motion - np.linalg.solve(matrix, gradient[:, :, None])[:, :, 0]
            motion = np.clip(motion, -_LIMITS, _LIMITS)
        return motion


def _levels(pictures: np.ndarray) -> list[_Level]:
    """Return the median of pictures (T, S, S) at both sizes: of them as they are, then of them fitted to that one."""
    halves = halved(pictures[np.linspace(0, len(pictures) - 1, min(len(pictures), _SAMPLED)).round().astype(int)])

    def made(halves: np.ndarray) -> list[_Level]:
        return [_Level(small, steps) for small, steps in zip(_sizes(halves), _STEPS, strict=True)]

    return made(_moved(halves, _motion(halves, made(halves))))


def _motion(halves: np.ndarray, levels: list[_Level]) -> np.ndarray:
    """Return zoom, roll and shifts (T, 4) that take the median to pictures (T, S / 2, S / 2)."""
    motion = np.zeros((len(halves), 4), np.float32)
    for level, small in zip(levels, _sizes(halves), strict=True):
        motion = level.improved(small, motion)
    return motion


def _fitted(pictures: np.ndarray, levels: list[_Level]) -> np.ndarray:
    """Return the pictures (T, S, S), each moved to where the median is."""
    done = np.empty_like(pictures)
    for start in range(0, len(pictures), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        done[rows] = _moved(pictures[rows], _motion(halved(pictures[rows]), levels))
    return done


def _places(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows (S, 1) and columns (S,) of pixels, from -1 to 1 at the borders of the picture."""
    place = ((np.arange(size) + 0.5) * (2 / size) - 1).astype(np.float32)
    return place[:, None], place


def halved(pictures: np.ndarray) -> np.ndarray:
    """Return pictures (T, S // 2, S // 2): means of 2 x 2 pixels."""
    half = pictures.shape[1] // 2
    even = pictures[:, : 2 * half, : 2 * half]
    means: np.ndarray = even[:, ::2, ::2] + even[:, 1::2, ::2]
    means += even[:, ::2, 1::2]
    means += even[:, 1::2, 1::2]
    means *= np.float32(0.25)
    return means


def _blurred(pictures: np.ndarray) -> np.ndarray:
    """Return pictures blurred by 1 4 6 4 1: gradients reach as edges are wide."""
    padded = np.pad(pictures, ((0, 0), (2, 2), (2, 2)), mode="edge")
    rows = padded[:, :-4] + padded[:, 4:] + 4 * (padded[:, 1:-3] + padded[:, 3:-1]) + 6 * padded[:, 2:-2]
    blurred: np.ndarray = rows[:, :, :-4] + rows[:, :, 4:] + 4 * (rows[:, :, 1:-3] + rows[:, :, 3:-1])
    blurred += 6 * rows[:, :, 2:-2]
    return blurred / np.float32(256)


def _sizes(halves: np.ndarray) -> list[np.ndarray]:
    """Return blurred pictures, the first of half the size of those given."""
    return [_blurred(halved(halves)), _blurred(halves)]


def _moved(pictures: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Sample pictures (T, S, S) bilinearly where zoom, roll and shifts (T, 4) lead; borders are repeated."""
    count, size, _ = pictures.shape
    y, x = _places(size)
    zoom, roll, right, down = motion.astype(np.float32).T[:, :, None, None]

    def pixel(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value = np.clip((place + 1) * np.float32(size / 2) - np.float32(0.5), 0, size - 1)
        low = np.minimum(value.astype(np.int32), size - 2)
        return low, (value - low).reshape(count, -1)

    row, below = pixel((1 + zoom) * y + roll * x + down)
    column, beside = pixel((1 + zoom) * x - roll * y + right)
    index = (row * size + column).reshape(count, -1)
    index += np.arange(count, dtype=np.int32)[:, None] * (size * size)
    flat = pictures.reshape(-1)
    upper, lower = flat.take(index), flat.take(index + size)
    upper += beside * (flat.take(index + 1) - upper)
    lower += beside * (flat.take(index + size + 1) - lower)
    upper += below * (lower - upper)
    return upper.reshape(pictures.shape)
