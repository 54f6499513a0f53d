"""Histograms of oriented gradients (HOG) of pictures: shapes described by where edges of which direction lie.

Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tpl_lightning.errors import UserError
from tpl_lightning.features.frames import frame_batches
from tpl_lightning.features.motion import DIRECTIONS

_FRAMES_AT_ONCE = 8  # their gradients fit into the processor's cache


@dataclass(frozen=True)
class HogParams:
    """What decides the features of a frame; stored with a cache, as new videos must be embedded alike."""

    size: int = 128
    """Pixels along each side of the square that a frame is fitted into."""
    cell: int = 16
    """Pixels along each side of a cell, which has one histogram."""
    block: int = 8
    """Cells along each side of a block, within which contrast is normalised (L2-Hys). One block for the whole picture
    keeps edges that stand out larger than noise in plain areas, which small blocks would blow up."""
    orientations: int = 12
    """Bins of edge direction over 180 degrees."""
    spread: float = 0.7
    """Standard deviation of the Gaussian window of a cell, in cells."""
    motion: float = 0.2
    """Root mean square of a video's motion features, where shape features of one block have norm 1."""
    mirror_invariant: bool = True
    """Average the features of a frame and its mirror image: it must not matter to which side a person faces."""
    stabilise: bool = True
    """Take out what the camera does, see ``features.stabilisation``."""

    def __post_init__(self) -> None:
        """Check that cells and blocks fit.

        Raises:
            UserError: if they do not.
        """
        is_whole = min(self.size, self.cell, self.block, self.orientations - 1) >= 1 and self.size % self.cell == 0
        if not (is_whole and self.cells >= self.block and self.spread > 0 and self.motion >= 0):
            raise UserError(
                "Expected positive HOG sizes, `size` a multiple of `cell` that holds a block of cells, 2 orientations "
                f"or more, `spread` > 0 and `motion` >= 0, but got {self}."
            )

    @property
    def cells(self) -> int:
        """Cells along each side."""
        return self.size // self.cell

    @property
    def num_blocks(self) -> int:
        """Blocks along each side; neighbouring blocks overlap by all but one cell."""
        return self.cells - self.block + 1

    @property
    def num_shape_features(self) -> int:
        """Length of the part of a frame's features that describes its edges."""
        return self.num_blocks**2 * self.block**2 * self.orientations

    @property
    def num_features(self) -> int:
        """Length of the feature vector of a frame."""
        return self.num_shape_features + self.cells**2 * DIRECTIONS


def fit_square(frame: np.ndarray, size: int) -> np.ndarray:
    """Turn a frame into a grey square without distorting it.

    The longer side is resized to ``size`` (bilinear, antialiased). What is missing on the shorter side is filled by
    repeating the border pixels on both sides, which adds no edge, as black bars would.

    Args:
        frame: RGB, shape (H, W, 3), uint8.
        size: pixels along each side of the result.

    Returns:
        Grey values in [0, 1], shape (size, size), float32.
    """
    height, width = frame.shape[:2]
    scale = size / max(height, width)
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = np.asarray(Image.fromarray(frame).convert("L").resize(target, Image.Resampling.BILINEAR), dtype=np.float32)
    rows, columns = size - target[1], size - target[0]
    if rows or columns:
        grey = np.pad(grey, ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)), mode="edge")
    return grey / 255.0


def grey_squares(frames: Iterable[np.ndarray], size: int) -> np.ndarray:
    """Return grey squares (T, size, size) of RGB frames; see :func:`fit_square`."""
    squares = [fit_square(frame, size) for frame in frames]
    return np.stack(squares) if squares else np.zeros((0, size, size), np.float32)


def hog_features(frames: Iterable[np.ndarray], *, params: HogParams | None = None) -> np.ndarray:
    """Describe each frame by its HOG features, without regard to other frames.

    Frames are fitted into a grey square (see :func:`fit_square`). An edge votes for the two nearest bins of direction
    and, by Gaussian windows, for all cells around it; hard borders of bins and cells would make features jump as
    someone moves a little.

    Args:
        frames: RGB frames, shape (T, H, W, 3) or an iterable of (H, W, 3), uint8.
        params: sizes; ``HogParams()`` if None.

    Returns:
        Features, shape (T, F) with F = ``params.num_shape_features``, float32.

    Raises:
        UserError: if a frame is not RGB in uint8.
    """
    params = params or HogParams()
    squares = [grey_squares(batch, params.size) for batch in frame_batches(frames, _FRAMES_AT_ONCE)]
    return shape_features(np.concatenate([grey_squares([], params.size), *squares]), params)


def cell_windows(size: int, cells: int, spread: float) -> np.ndarray:
    """Weights of pixels in each cell along one axis, (cells, size): Gaussians around the cells' middles."""
    place = (np.arange(size) + 0.5) * cells / size - 0.5
    distance = (place - np.arange(cells)[:, None]) / spread
    return (np.exp(-0.5 * distance**2) * cells / size).astype(np.float32)


def shape_features(squares: np.ndarray, params: HogParams) -> np.ndarray:
    """HOG features (T, F) of grey squares (T, size, size), a few at a time."""
    starts = range(0, max(len(squares), 1), _FRAMES_AT_ONCE)
    return np.concatenate([_describe(squares[start : start + _FRAMES_AT_ONCE], params) for start in starts])


def _describe(squares: np.ndarray, params: HogParams) -> np.ndarray:
    """HOG features (T, F) of grey squares (T, size, size)."""
    rows, columns = np.zeros_like(squares), np.zeros_like(squares)
    rows[:, 1:-1] = squares[:, 2:] - squares[:, :-2]
    columns[:, :, 1:-1] = squares[:, :, 2:] - squares[:, :, :-2]
    votes = _votes(rows, columns, params.orientations)
    windows = cell_windows(params.size, params.cells, params.spread)
    cells = (windows @ votes @ windows.T).transpose(1, 2, 3, 0)
    features = _normalised_blocks(cells, params)
    if params.mirror_invariant:
        opposite = -np.arange(params.orientations) % params.orientations
        features = 0.5 * (features + _normalised_blocks(cells[:, :, ::-1, opposite], params))
    return features.astype(np.float32)


def _votes(rows: np.ndarray, columns: np.ndarray, bins: int) -> np.ndarray:
    """Magnitude of gradients (T, S, S) shared by the two nearest bins of direction, (bins, T, S, S).

    Bin b stands for b / bins of 180 degrees, so that mirroring swaps whole bins.
    """
    place = np.arctan2(rows, columns) * np.float32(bins / np.pi)
    below = np.floor(place)
    magnitude = np.hypot(columns, rows)
    upper = (place - below) * magnitude
    low = below.astype(np.int32) % bins
    votes = np.zeros((bins, rows.size), np.float32)
    pixel = np.arange(rows.size)
    votes[low.ravel(), pixel] = (magnitude - upper).ravel()
    votes[(low.ravel() + 1) % bins, pixel] = upper.ravel()
    return votes.reshape(bins, *rows.shape)


def _normalised_blocks(cells: np.ndarray, params: HogParams) -> np.ndarray:
    """L2-Hys over overlapping blocks of cells: normalise, clip at 0.2, normalise; (T, F)."""
    blocks = np.lib.stride_tricks.sliding_window_view(cells, (params.block, params.block), axis=(1, 2))
    blocks = blocks.transpose(0, 1, 2, 4, 5, 3).reshape(len(cells), params.num_blocks**2, -1)
    clipped = np.minimum(blocks / _norm(blocks), 0.2)
    return (clipped / _norm(clipped)).reshape(len(cells), -1)


def _norm(blocks: np.ndarray) -> np.ndarray:
    norm: np.ndarray = np.sqrt(np.sum(blocks**2, axis=-1, keepdims=True) + 1e-10)
    return norm
