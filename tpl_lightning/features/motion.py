"""Motion in coarse cells of a picture: which parts move, and whether up, down or sideways.

In each cell the shift that best explains the change over time, by least squares under a Gaussian window (Lucas, Kanade,
"An iterative image registration technique", 1981). What a person wears hardly matters to it, and it tells lowering from
lifting where two poses look alike.
"""

from collections.abc import Iterable, Iterator

import numpy as np

REACH = 2
"""Frames on either side that the change at a frame is measured over."""

DIRECTIONS = 3
"""Features of a cell: up, down, sideways (to either side, as pictures may be mirrored)."""

_STILL = 1e-3  # squared contrast below which a cell counts as having no texture, so no motion


def cell_motion(squares: np.ndarray, windows: np.ndarray, *, mirror_invariant: bool) -> np.ndarray:
    """Return the root of the speed in each cell and direction; speeds are in pixels per frame.

    Args:
        squares: grey values in [0, 1] of T + 2 REACH frames in a row, shape (T + 2 REACH, size, size), float32.
        windows: weights of pixels in each cell along one axis, shape (cells, size), float32.
        mirror_invariant: average a frame and its mirror image.

    Returns:
        Features of the T frames in the middle, shape (T, cells * cells * DIRECTIONS), float32.
    """
    middle = squares[REACH:-REACH]
    change = (squares[2 * REACH :] - squares[: -2 * REACH]) / np.float32(2 * REACH)
    rows, columns = np.zeros_like(middle), np.zeros_like(middle)
    rows[:, 1:-1] = (middle[:, 2:] - middle[:, :-2]) / 2
    columns[:, :, 1:-1] = (middle[:, :, 2:] - middle[:, :, :-2]) / 2

    def pooled(values: np.ndarray) -> np.ndarray:
        return np.asarray(windows @ values @ windows.T)

    still = np.float32(_STILL) * windows[0].sum() ** 2
    down, across = pooled(rows * rows) + still, pooled(columns * columns) + still
    both, by_row, by_column = pooled(rows * columns), pooled(rows * change), pooled(columns * change)
    determinant = down * across - both * both
    vertical = (both * by_column - across * by_row) / determinant
    sideways = np.abs(both * by_row - down * by_column) / determinant
    speed = np.stack([np.maximum(-vertical, 0), np.maximum(vertical, 0), sideways], axis=-1)
    if mirror_invariant:
        speed = 0.5 * (speed + speed[:, :, ::-1])
    return np.sqrt(speed).reshape(len(middle), -1)


def with_neighbours(chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Turn the frames of a video, in chunks (T, ...), into runs that overlap by 2 REACH, as :func:`cell_motion` needs.

    The first and the last frame are repeated, so that every frame is in the middle of one run.
    """
    run: np.ndarray | None = None
    for chunk in chunks:
        before = np.repeat(chunk[:1], REACH, axis=0) if run is None else run[-2 * REACH :]
        run = np.concatenate([before, chunk])
        if len(run) > 2 * REACH:
            yield run
    if run is not None:
        yield np.concatenate([run[-2 * REACH :], np.repeat(run[-1:], REACH, axis=0)])
