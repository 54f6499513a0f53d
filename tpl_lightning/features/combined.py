"""Several extractors side by side, fed by one decoding: ``extractor=hog+dinov2``."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import Any

import numpy as np

from tpl_lightning.data import FeatureGroup, State, join_states, unique_names
from tpl_lightning.features.base import Extractor
from tpl_lightning.video import FrameSize

_AHEAD = 64  # frames that one part may be ahead of another


class CombinedExtractor(Extractor):
    """Extractors whose embeddings stand side by side; a cache of them has one feature group for each.

    Each part sees the pictures, of its own size, that it would see alone, so its embeddings are the same.

    Args:
        parts: The extractors; those that only project features will do where no frames are at hand.
        names: Name of each part's feature group; None: after the extractors.
    """

    def __init__(self, parts: Sequence[Extractor], names: Sequence[str] | None = None) -> None:
        """Keep the parts."""
        self.parts = list(parts)
        self.names = list(names or unique_names([part.feature_groups[0].name for part in parts]))
        self.on_device = any(part.on_device for part in parts)
        self.frames_at_once = max(part.frames_at_once for part in parts)
        self._sum_up()

    def _sum_up(self) -> None:
        super().__init__("+".join(part.name for part in self.parts), sum(part.num_channels for part in self.parts), {})
        self.identity = " + ".join(part.identity for part in self.parts)
        self.num_features = sum(part.num_features for part in self.parts)
        self.is_fitted = all(part.is_fitted for part in self.parts)

    @property
    def feature_groups(self) -> list[FeatureGroup]:
        """Name and channels of each part."""
        return [FeatureGroup(name, part.num_channels) for name, part in zip(self.names, self.parts, strict=True)]

    @property
    def decode_sizes(self) -> tuple[FrameSize, ...]:
        """The size that each part wants its picture of a frame in."""
        return tuple(part.decode_size for part in self.parts)

    def features(self, frames: Iterable[Any]) -> np.ndarray:
        """Describe frames by the features (T, F) of all parts, float32, each in a thread that goes at its own pace.

        Args:
            frames: A tuple of RGB pictures per frame, one for each part, as :class:`VideoReader` yields them; or one
                picture for all.
        """
        queues: list[Queue[Any]] = [Queue(_AHEAD) for _ in self.parts]
        with ThreadPoolExecutor(len(queues)) as pool:
            found = [
                pool.submit(_described, part.features, queue) for part, queue in zip(self.parts, queues, strict=True)
            ]
            try:
                for frame in frames:
                    pictures = frame if isinstance(frame, tuple) else (frame,) * len(queues)
                    for queue, picture in zip(queues, pictures, strict=True):
                        queue.put(picture)
            finally:
                for queue in queues:
                    queue.put(None)
        return np.concatenate([future.result() for future in found], axis=1)

    def fit(self, videos: Sequence[np.ndarray]) -> "CombinedExtractor":
        """Fit the parts that are not fitted yet; return the extractor itself."""
        for part, columns in self._columns():
            if not part.is_fitted:
                part.fit([video[:, columns] for video in videos])
        self._sum_up()
        return self

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Turn features (T, F) into embeddings (T, C), float32."""
        return np.concatenate([part.transform(features[:, columns]) for part, columns in self._columns()], axis=1)

    def state(self) -> State:
        """Return the states of all parts."""
        return join_states([part.state() for part in self.parts])

    def _columns(self) -> Iterator[tuple[Extractor, slice]]:
        """Yield each part and where its features are."""
        start = 0
        for part in self.parts:
            yield part, slice(start, start + part.num_features)
            start += part.num_features


def _described(features: Callable[[Iterable[Any]], np.ndarray], queue: "Queue[Any]") -> np.ndarray:
    """Return the features of the pictures in a queue, which None ends."""
    pictures = _pulled(queue)
    try:
        return features(pictures)
    finally:
        for _ in pictures:  # of a part that failed, so that the others do not wait for room
            pass


def _pulled(queue: "Queue[Any]") -> Iterator[Any]:
    while (picture := queue.get()) is not None:
        yield picture
