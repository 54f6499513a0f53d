"""Embeddings without weights: histograms of oriented gradients (HOG) and coarse motion, reduced by PCA.

HOG sees a pose without having learned anything, see ``features.gradients``; for motion see ``features.motion``.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tpl_lightning.data import State
from tpl_lightning.errors import UserError
from tpl_lightning.features.base import Extractor
from tpl_lightning.features.frames import frame_batches
from tpl_lightning.features.gradients import HogParams, cell_windows, grey_squares, shape_features
from tpl_lightning.features.motion import cell_motion, with_neighbours
from tpl_lightning.features.stabilisation import halved, stabilised
from tpl_lightning.video import shrink_to

KIND = "hog-motion-pca"
"""Names the state of the extractor in a cache."""

_STILL = 0.1  # root mean square of motion below which a video counts as still; that of clips of exercises is about 1


class HogExtractor(Extractor):
    r"""HOG and motion features projected onto principal components: :math:`(f - \mu) V^\top`.

    The components are those of the scatter *within* the training videos (features minus their video's mean): between
    videos, person and background differ far more than poses do, and would take most of the channels.

    Attributes:
        mean: (F,) the mean of the training videos.
        components: (C, F), the rows of V.
    """

    mean: np.ndarray
    components: np.ndarray

    def __init__(self, *, params: HogParams | None = None, channels: int = 64) -> None:
        """Take the sizes; mean and components come from :meth:`fit` or :meth:`from_state`."""
        if channels < 1:
            raise UserError(f"Expected `channels` >= 1, but got {channels}.")
        self.params = params or HogParams()
        super().__init__(f"hog-pca{channels}", channels, {"kind": KIND, **asdict(self.params)})
        self.num_features, self.identity, self.is_fitted = self.params.num_features, f"hog {self.params}", False

    def decode_size(self, width: int, height: int) -> tuple[int, int]:
        """Return twice the size that HOG looks at, where a video is larger, which keeps shrinking its frames cheap."""
        return shrink_to(2 * self.params.size)(width, height)

    def features(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Describe the frames of a whole video before projection, a chunk at a time: shape, then motion.

        Motion is brought to ``params.motion`` in each video: what matters is which part moves when, and the measure
        must depend neither on the frame rate nor on the size of a person.
        """
        params, shape = self.params, []

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
        """Find mean and components from the features (T_i, F) of the training videos.

        They are fewer than asked for where few frames have fewer. Returns the extractor itself.

        Raises:
            UserError: If there is no video of several frames.
        """
        from sklearn.decomposition import PCA  # slow to import

        total, channels = sum(map(len, videos)), self.num_channels
        # Removing each video's mean costs one degree of freedom per video.
        limit = min(total - len(videos), self.num_features)
        if limit < 1:
            raise UserError(
                f"Expected more than one frame in some training video to find components of, but got {total} frames in "
                f"{len(videos)} videos: add videos."
            )
        if channels > limit:
            warnings.warn(
                f"{total} training frames in {len(videos)} videos have {limit} components, so that the embeddings get "
                f"{limit} channels in place of {channels}.",
                stacklevel=2,
            )
        means = [video.mean(axis=0) for video in videos]
        within = np.concatenate([video - mean for video, mean in zip(videos, means, strict=True)])
        pca = PCA(min(channels, limit), svd_solver="covariance_eigh").fit(within)
        return self._project_on(np.mean(means, axis=0), pca.components_)

    def _project_on(self, mean: np.ndarray, components: np.ndarray) -> "HogExtractor":
        self.mean, self.components = np.asarray(mean, np.float32), np.asarray(components, np.float32)
        self.num_channels, self.is_fitted = len(components), True
        self.name = f"hog-pca{self.num_channels}"
        return self

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Project features of shape (T, F) to embeddings of shape (T, channels), float32.

        Raises:
            UserError: If the extractor has not been fitted, or the features have another length.
        """
        arrays = self.state()[0]
        if features.shape[1:] != arrays["mean"].shape:
            raise UserError(f"Expected features of shape (T, {self.num_features}), but got {features.shape}.")
        return (features - arrays["mean"]) @ arrays["components"].T

    def state(self) -> State:
        """Return arrays ``mean`` (F,) and ``components`` (channels, F), and the HOG parameters as plain values.

        Raises:
            UserError: If the extractor has not been fitted.
        """
        if not self.is_fitted:
            raise UserError("Expected a fitted HOG extractor: fit() it, or use that of a cache (extractor=CACHE.h5).")
        return {"mean": self.mean, "components": self.components}, self.parameters

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> "HogExtractor":
        """Rebuild a fitted extractor from the result of :meth:`state`.

        Raises:
            UserError: If something is missing or does not fit together.
        """
        # Caches made before there was stabilisation do not say so.
        found, usual = {"stabilise": False, **parameters, **arrays}, asdict(HogParams())
        missing = [name for name in ("mean", "components", *usual) if name not in found]
        if parameters.get("kind") != KIND or missing:
            detail = f"it lacks {', '.join(missing)}" if missing else f"its kind is {parameters.get('kind')!r}"
            raise UserError(
                f"Expected the state of a HOG extractor (kind {KIND!r}), but {detail}: the cache was made by another "
                "version; embed its videos anew (tpl cache embed VIDEOS out=PATH) and fit again."
            )
        params = HogParams(**{name: type(value)(found[name]) for name, value in usual.items()})
        mean, components = found["mean"], found["components"]
        if mean.shape != (params.num_features,) or components.shape[1:] != mean.shape:
            raise UserError(
                f"Expected a mean of shape ({params.num_features},) and components of shape "
                f"(channels, {params.num_features}), but got {mean.shape} and {components.shape}."
            )
        return cls(params=params, channels=len(components))._project_on(mean, components)
