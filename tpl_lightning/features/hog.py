"""Embeddings without weights: histograms of oriented gradients (HOG) and coarse motion, reduced by PCA.

HOG sees a pose without having learned anything, see ``features.gradients``; for motion see ``features.motion``.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.features.frames import frame_batches
from tpl_lightning.features.gradients import HogParams, cell_windows, grey_squares, shape_features
from tpl_lightning.features.motion import cell_motion, with_neighbours
from tpl_lightning.features.stabilisation import halved, stabilised

KIND = "hog-motion-pca"
"""Names the state of the extractor in a cache."""

_STILL = 0.1  # root mean square of motion below which a video counts as still; that of clips of exercises is about 1


class HogExtractor:
    r"""HOG and motion features projected onto principal components: :math:`(f - \mu) V^\top`.

    The components are those of the scatter *within* the training videos (features minus their video's mean): between
    videos, person and background differ far more than poses do, and would take most of the channels.
    """

    on_device = False  # HOG works on as many processes as there are cores
    frames_at_once = 64  # so that long videos need little memory

    def __init__(self, *, params: HogParams | None = None, channels: int = 64) -> None:
        """Take the sizes; mean and components come from :meth:`fit` or :meth:`from_state`."""
        if channels < 1:
            raise UserError(f"Expected `channels` >= 1, but got {channels}.")
        self.params, self.num_channels = params or HogParams(), channels
        self.num_features, self.identity = self.params.num_features, f"hog {self.params}"
        self.mean: np.ndarray | None = None
        self.components: np.ndarray | None = None

    @property
    def name(self) -> str:
        """Name for the ``extractor`` attribute of a cache."""
        return f"hog-pca{self.num_channels}"

    @property
    def is_fitted(self) -> bool:
        """Whether there are mean and components."""
        return self.components is not None

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
            pieces = (grey_squares(chunk, params.size) for chunk in frame_batches(frames, self.frames_at_once))
            for squares in stabilised(pieces) if params.stabilise else pieces:
                shape.append(shape_features(squares, params))
                yield halved(squares)

        windows = cell_windows(params.size // 2, params.cells, params.spread)
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
        if self.num_channels > limit:
            warnings.warn(
                f"{total} training frames in {len(videos)} videos have {limit} components, so that the embeddings get "
                f"{limit} channels in place of {self.num_channels}.",
                stacklevel=2,
            )
            self.num_channels = limit
        within = np.concatenate([video - video.mean(axis=0) for video in videos])
        pca = PCA(self.num_channels, svd_solver="covariance_eigh").fit(within)
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
