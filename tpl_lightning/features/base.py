"""What all extractors have in common: from frames to features, and from features to embeddings."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tpl_lightning.data import FeatureGroup, State, group_name
from tpl_lightning.video import FrameSize


class Extractor:
    """Turns frames into embeddings: features, which cost the time and look at one video alone, then a projection.

    Here features are the embeddings, and nothing is learned, as with networks. One that is no more than this is what is
    known of a network when only features that it has made are at hand, not its weights.

    Args:
        name: For the ``extractor`` attribute of a cache.
        num_channels: Of an embedding.
        parameters: What a cache must hold to embed new videos alike, as JSON can hold it.

    Attributes:
        num_features: Length of the feature vector of a frame.
        identity: What decides the features of a frame; equal for extractors whose features may be mixed.
        is_fitted: Whether :meth:`transform` needs no :meth:`fit`.
        on_device: Whether a network is in it, which stays in one process.
        frames_at_once: Frames that are looked at together.
    """

    is_fitted = True
    on_device = False
    frames_at_once = 64

    def __init__(self, name: str, num_channels: int, parameters: dict[str, Any]) -> None:
        """Take what a cache says of it."""
        self.name, self.num_channels, self.parameters = name, num_channels, parameters
        self.identity, self.num_features = name, num_channels

    @property
    def feature_groups(self) -> list[FeatureGroup]:
        """Name and channels of what stands side by side in an embedding."""
        return [FeatureGroup(group_name(self.name), self.num_channels)]

    def decode_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height at which frames are best decoded."""
        return width, height

    @property
    def decode_sizes(self) -> FrameSize | tuple[FrameSize, ...]:
        """What makes of a video's width and height those of its frames; several: a picture of each frame for each."""
        return self.decode_size

    def features(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Describe RGB frames of one clip, (T, H, W, 3) or an iterable of (H, W, 3), uint8; (T, F), float32."""
        raise NotImplementedError

    def fit(self, videos: Sequence[np.ndarray]) -> "Extractor":
        """Learn from the features (T, F) of the training videos; return the extractor itself."""
        return self

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Turn features (T, F) into embeddings (T, C), float32."""
        return features

    def __call__(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Turn RGB frames of one clip, as :meth:`features` takes them, into embeddings (T, C), float32."""
        return self.transform(self.features(frames))

    def state(self) -> State:
        """Return what a cache must hold to embed new videos alike: arrays, and parameters that JSON can hold."""
        return {}, self.parameters
