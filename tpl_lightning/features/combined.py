"""Several extractors side by side, fed by one decoding: ``extractor=hog+dinov2``."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import Any, cast

import numpy as np

from tpl_lightning.data import FeatureGroup, State, group_name, join_states, unique_names
from tpl_lightning.features.extractors import Extractor, Projector
from tpl_lightning.video import FrameSize

_AHEAD = 64  # frames that one part may be ahead of another


class CombinedExtractor:
    """Extractors whose embeddings stand side by side; a cache of them has one feature group for each.

    Each part sees the pictures, of its own size, that it would see alone, so its embeddings are the same.

    Args:
        parts: The extractors; those that only project features will do where no frames are at hand.
        names: Name of each part's feature group; None: after the extractors.
    """

    def __init__(self, parts: Sequence[Projector], names: Sequence[str] | None = None) -> None:
        """Keep the parts."""
        self.parts = list(parts)
        self.names = unique_names([group_name(part.name) for part in parts]) if names is None else list(names)

    @property
    def _extractors(self) -> list[Extractor]:
        return cast("list[Extractor]", self.parts)

    @property
    def name(self) -> str:
        """Name for the ``extractor`` attribute of a cache."""
        return "+".join(part.name for part in self.parts)

    @property
    def num_features(self) -> int:
        """Length of the feature vector of a frame."""
        return sum(part.num_features for part in self.parts)

    @property
    def num_channels(self) -> int:
        """Channels of an embedding."""
        return sum(part.num_channels for part in self.parts)

    @property
    def feature_groups(self) -> list[FeatureGroup]:
        """Name and channels of each part."""
        return [FeatureGroup(name, part.num_channels) for name, part in zip(self.names, self.parts, strict=True)]

    @property
    def identity(self) -> str:
        """What decides the features of a frame."""
        return " + ".join(part.identity for part in self._extractors)

    @property
    def is_fitted(self) -> bool:
        """Whether all parts are."""
        return all(part.is_fitted for part in self.parts)

    @property
    def on_device(self) -> bool:
        """Whether a part is a network, which stays in one process."""
        return any(part.on_device for part in self._extractors)

    @property
    def frames_at_once(self) -> int:
        """Frames that are looked at together."""
        return max(part.frames_at_once for part in self._extractors)

    @property
    def decode_size(self) -> tuple[FrameSize, ...]:
        """The sizes at which the parts want each frame."""
        return tuple(cast(FrameSize, part.decode_size) for part in self._extractors)

    def features(self, frames: Iterable[Any]) -> np.ndarray:
        """Describe frames by the features (T, F) of all parts, float32.

        Args:
            frames: A tuple of RGB pictures per frame, one for each part, as :class:`VideoReader` yields them; or one
                picture for all.
        """
        return self._side_by_side(frames, [part.features for part in self._extractors])

    def __call__(self, frames: Iterable[Any]) -> np.ndarray:
        """Turn frames into embeddings (T, C), float32; see :meth:`features`."""
        return self.transform(self.features(frames))

    def fit(self, videos: Sequence[np.ndarray]) -> "CombinedExtractor":
        """Fit the parts that are not fitted yet; return the extractor itself."""
        for part, columns in zip(self.parts, self._columns(), strict=True):
            if not part.is_fitted:
                part.fit([video[:, columns] for video in videos])
        return self

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Turn features (T, F) into embeddings (T, C), float32."""
        parts = zip(self.parts, self._columns(), strict=True)
        return np.concatenate([part.transform(features[:, columns]) for part, columns in parts], axis=1)

    def state(self) -> State:
        """Return the states of all parts."""
        return join_states([part.state() for part in self.parts])

    def _columns(self) -> list[slice]:
        ends = np.cumsum([part.num_features for part in self.parts]).tolist()
        return [slice(end - part.num_features, end) for end, part in zip(ends, self.parts, strict=True)]

    @staticmethod
    def _side_by_side(frames: Iterable[Any], functions: Sequence[Callable[[Iterable[Any]], np.ndarray]]) -> np.ndarray:
        """Return what functions make of the frames, each in a thread: all pull from one stream at their own pace."""
        queues: list[Queue[Any]] = [Queue(_AHEAD) for _ in functions]

        def work(function: Callable[[Iterable[Any]], np.ndarray], queue: "Queue[Any]") -> np.ndarray:
            pulled = _pulled(queue)
            try:
                return function(pulled)
            finally:
                for _ in pulled:  # of a part that failed, so that the others do not wait for room
                    pass

        with ThreadPoolExecutor(len(functions)) as pool:
            found = [pool.submit(work, function, queue) for function, queue in zip(functions, queues, strict=True)]
            try:
                for frame in frames:
                    pictures = frame if isinstance(frame, tuple) else (frame,) * len(queues)
                    for queue, picture in zip(queues, pictures, strict=True):
                        queue.put(picture)
            finally:
                for queue in queues:
                    queue.put(None)
        return np.concatenate([future.result() for future in found], axis=1)


def _pulled(queue: "Queue[Any]") -> Iterator[Any]:
    while (item := queue.get()) is not None:
        yield item
