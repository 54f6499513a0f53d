"""Embeddings without weights: histograms of oriented gradients (HOG) and coarse motion, reduced by PCA.

HOG describes shapes by where edges of which direction lie, so it sees a pose without having learned anything. Dalal
and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005. For motion see ``data.motion``.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from PIL import Image

from tpl_lightning.errors import UserError
from tpl_lightning.features.motion import DIRECTIONS, cell_motion, with_neighbours
from tpl_lightning.features.stabilisation import halved, stabilised

KIND = "hog-motion-pca"
"""Names the state of the extractor in a cache."""

CHUNK_FRAMES = 64
"""Frames that are turned into features at a time, so that long videos need little memory."""

_FRAMES_AT_ONCE = 8  # their gradients fit into the processor's cache
_STILL = 0.1  # root mean square of motion below which a video counts as still; that of clips of exercises is about 1


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
    """Take out what the camera does, see ``data.stabilise``."""

    def __post_init__(self) -> None:
        """Check that cells and blocks fit.

        Raises:
            UserError: if they do not.
        """
        if min(self.size, self.cell, self.block, self.orientations) < 1 or self.size % self.cell:
            raise UserError(f"Expected positive HOG sizes and a `size` that is a multiple of `cell`, but got {self}.")
        if self.spread <= 0 or self.motion < 0 or self.orientations < 2:
            raise UserError(f"Expected `spread` > 0, `motion` >= 0 and `orientations` >= 2, but got {self}.")
        if self.cells < self.block:
            raise UserError(f"Expected at least one block of {self.block} cells, but {self} has {self.cells} cells.")

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
    return _shape_features(_squares(frames, params.size), params)


def _squares(frames: Iterable[np.ndarray], size: int) -> np.ndarray:
    """Grey squares (T, size, size) of RGB frames; see :func:`fit_square`."""
    squares = []
    for index, frame in enumerate(frames):
        if frame.ndim != 3 or frame.shape[-1] != 3 or frame.dtype != np.uint8:
            raise UserError(
                f"Expected RGB frames of shape (H, W, 3) and type uint8, "
                f"but got {frame.shape} and {frame.dtype} at frame {index}."
            )
        squares.append(fit_square(frame, size))
    return np.stack(squares) if squares else np.zeros((0, size, size), np.float32)


def _windows(size: int, cells: int, spread: float) -> np.ndarray:
    """Weights of pixels in each cell along one axis, (cells, size): Gaussians around the cells' middles."""
    place = (np.arange(size) + 0.5) * cells / size - 0.5
    distance = (place - np.arange(cells)[:, None]) / spread
    return (np.exp(-0.5 * distance**2) * cells / size).astype(np.float32)


def _shape_features(squares: np.ndarray, params: HogParams) -> np.ndarray:
    """HOG features (T, F) of grey squares (T, size, size), a few at a time."""
    starts = range(0, max(len(squares), 1), _FRAMES_AT_ONCE)
    return np.concatenate([_describe(squares[start : start + _FRAMES_AT_ONCE], params) for start in starts])


def _describe(squares: np.ndarray, params: HogParams) -> np.ndarray:
    """HOG features (T, F) of grey squares (T, size, size)."""
    rows, columns = np.zeros_like(squares), np.zeros_like(squares)
    rows[:, 1:-1] = squares[:, 2:] - squares[:, :-2]
    columns[:, :, 1:-1] = squares[:, :, 2:] - squares[:, :, :-2]
    votes = _votes(rows, columns, params.orientations)
    windows = _windows(params.size, params.cells, params.spread)
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


def _chunks(frames: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    chunk: list[np.ndarray] = []
    for frame in frames:
        chunk.append(frame)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


class HogExtractor:
    r"""HOG and motion features projected onto principal components: :math:`(f - \mu) V^\top`.

    The components are those of the scatter *within* the training videos (features minus their video's mean): between
    videos, person and background differ far more than poses do, and would take most of the channels.
    """

    def __init__(self, *, params: HogParams | None = None, channels: int = 64) -> None:
        """Take the sizes; mean and components come from :meth:`fit` or :meth:`from_state`."""
        if channels < 1:
            raise UserError(f"Expected `channels` >= 1, but got {channels}.")
        self.params = params or HogParams()
        self.channels = channels
        self.mean: np.ndarray | None = None
        self.components: np.ndarray | None = None

    @property
    def name(self) -> str:
        """Name for the ``extractor`` attribute of a cache."""
        return f"hog-pca{self.channels}"

    @property
    def num_channels(self) -> int:
        """Channels of an embedding."""
        return self.channels

    @property
    def identity(self) -> str:
        """What decides the features of a frame."""
        return f"hog {self.params}"

    @property
    def is_fitted(self) -> bool:
        """Whether there are mean and components."""
        return self.components is not None

    @property
    def frames_at_once(self) -> int:
        """Frames that are turned into features at a time."""
        return CHUNK_FRAMES

    def decode_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height at which frames are best decoded.

        Twice the size that HOG looks at keeps the shrinking cheap for large videos.
        """
        scale = min(1.0, 2 * self.params.size / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def features(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Describe the frames of a whole video before projection, a chunk at a time: shape, then motion.

        Motion is brought to ``params.motion`` in each video: what matters is which part moves when, and the measure
        must depend neither on the frame rate nor on the size of a person.
        """
        params, shape = self.params, [np.zeros((0, self.params.num_shape_features), np.float32)]

        def halves() -> Iterator[np.ndarray]:
            pieces = (_squares(chunk, params.size) for chunk in _chunks(frames, CHUNK_FRAMES))
            for squares in stabilised(pieces) if params.stabilise else pieces:
                shape.append(_shape_features(squares, params))
                yield halved(squares)

        windows = _windows(params.size // 2, params.cells, params.spread)
        runs = with_neighbours(halves())
        motion = [cell_motion(run, windows, mirror_invariant=params.mirror_invariant) for run in runs]
        if not motion:
            return np.zeros((0, params.num_features), np.float32)
        moved = np.concatenate(motion)
        size = np.sqrt(np.mean(np.sum(moved**2, axis=1, dtype=np.float64)))
        moved *= np.float32(params.motion / max(size, _STILL))
        return np.concatenate([np.concatenate(shape), moved], axis=1)

    def fit(self, videos: Sequence[np.ndarray]) -> "HogExtractor":
        """Find mean and components from the training videos; fewer than asked for where few frames have fewer.

        Args:
            videos: features of each training video, shape (T_i, F).

        Returns:
            The extractor itself.

        Raises:
            UserError: if there is no video of several frames.
        """
        from sklearn.decomposition import PCA  # slow to import

        total = sum(len(video) for video in videos)
        # Removing each video's mean costs one degree of freedom per video.
        limit = min(total - len(videos), self.params.num_features)
        if limit < 1:
            raise UserError(
                f"Expected more than one frame in some training video to find components of, but got {total} frames in "
                f"{len(videos)} videos: add videos."
            )
        if self.channels > limit:
            warnings.warn(
                f"{total} training frames in {len(videos)} videos have {limit} components, so that the embeddings get "
                f"{limit} channels in place of {self.channels}.",
                stacklevel=2,
            )
            self.channels = limit
        within = np.concatenate([video - video.mean(axis=0) for video in videos])
        pca = PCA(self.channels, svd_solver="covariance_eigh").fit(within)
        self.components = pca.components_.astype(np.float32)
        self.mean = np.mean([video.mean(axis=0) for video in videos], axis=0).astype(np.float32)
        return self

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Project features of shape (T, F) to embeddings of shape (T, channels), float32.

        Raises:
            UserError: if the extractor has not been fitted, or the features have another length.
        """
        if self.mean is None or self.components is None:
            raise UserError(
                "Expected a fitted HOG extractor: call fit() or read it from a cache with HogExtractor.from_state()."
            )
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise UserError(f"Expected features of shape (T, {len(self.mean)}), but got {features.shape}.")
        return (features - self.mean) @ self.components.T

    def __call__(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Turn RGB frames, (T, H, W, 3) or an iterable of (H, W, 3) uint8, into embeddings of shape (T, channels)."""
        return self.transform(self.features(frames))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what a cache must hold to embed new videos alike.

        Returns:
            Arrays ``mean`` (F,) and ``components`` (channels, F), float32, and the HOG parameters as plain values.

        Raises:
            UserError: if the extractor has not been fitted.
        """
        if self.mean is None or self.components is None:
            raise UserError("Expected a fitted HOG extractor, but fit() has not been called.")
        return {"mean": self.mean, "components": self.components}, {"kind": KIND, **asdict(self.params)}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], attrs: Mapping[str, Any]) -> "HogExtractor":
        """Rebuild an extractor from the result of :meth:`state`.

        Args:
            arrays: ``mean`` and ``components``.
            attrs: the HOG parameters.

        Returns:
            The fitted extractor.

        Raises:
            UserError: if something is missing or does not fit together.
        """
        attrs = {"stabilise": False, **attrs}  # caches made before there was the option
        names = [field.name for field in fields(HogParams)]
        missing = [name for name in ("mean", "components") if name not in arrays] + [
            name for name in names if name not in attrs
        ]
        if attrs.get("kind") != KIND or missing:
            detail = f"it lacks {', '.join(missing)}" if missing else f"its kind is {attrs.get('kind')!r}"
            raise UserError(
                f"Expected the state of a HOG extractor (kind {KIND!r}), but {detail}: the cache was made by another "
                "version; embed its videos anew (tpl cache embed VIDEOS out=PATH) and fit again."
            )
        usual = asdict(HogParams())
        params = HogParams(**{name: type(usual[name])(attrs[name]) for name in names})
        mean, components = np.asarray(arrays["mean"], np.float32), np.asarray(arrays["components"], np.float32)
        if mean.shape != (params.num_features,) or components.shape[1:] != mean.shape:
            raise UserError(
                f"Expected a mean of shape ({params.num_features},) and components of shape "
                f"(channels, {params.num_features}), but got {mean.shape} and {components.shape}."
            )
        extractor = cls(params=params, channels=len(components))
        extractor.mean, extractor.components = mean, components
        return extractor
