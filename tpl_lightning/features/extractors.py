"""From frames to embeddings: one interface for all extractors, those that a cache names among them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tpl_lightning.data import EmbeddingCache
from tpl_lightning.errors import UserError
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.video import VideoClock, VideoReader

if TYPE_CHECKING:
    from tpl_lightning.features.image_models import ImageModelExtractor

__all__ = [
    "ALIASES",
    "Extractor",
    "Projector",
    "StoredExtractor",
    "embed_video",
    "extractor_from_state",
    "extractor_of_cache",
    "make_extractor",
]

ALIASES = {"dinov2": "facebook/dinov2-base", "openclip": "laion/CLIP-ViT-L-14-laion2B-s32B-b82K"}
"""Short names of models on the Hugging Face hub. OpenCLIP's checkpoints are published there for transformers too."""


class Projector(Protocol):
    """The second of an extractor's two steps, from features to embeddings, which may have to be fitted first."""

    @property
    def name(self) -> str:
        """Name for the ``extractor`` attribute of a cache."""

    @property
    def num_channels(self) -> int:
        """Channels of an embedding."""

    @property
    def is_fitted(self) -> bool:
        """Whether :meth:`transform` needs no :meth:`fit`."""

    def fit(self, videos: Sequence[np.ndarray]) -> "Projector":
        """Learn from the features of the training videos; return the extractor itself. Networks learn nothing here."""

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Turn features (T, F) into embeddings (T, C), float32."""

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what a cache must hold to embed new videos alike: arrays, and parameters that JSON can hold."""


class Extractor(Projector, Protocol):
    """What turns frames into embeddings: features, which cost the time and look at one video alone, then a projection.

    Calling the extractor does both.
    """

    @property
    def identity(self) -> str:
        """What decides the features of a frame, as text; equal for extractors whose features may be mixed."""

    @property
    def frames_at_once(self) -> int:
        """Frames that are looked at together."""

    def decode_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height at which frames of a video are best decoded."""

    def features(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Describe RGB frames, (T, H, W, 3) or an iterable of (H, W, 3), uint8, by features (T, F), float32."""

    def __call__(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Turn RGB frames, (T, H, W, 3) or an iterable of (H, W, 3), uint8, into embeddings (T, C), float32."""


class StoredExtractor:
    """What is known of a network when only features that it has made are at hand, not its weights."""

    def __init__(self, name: str, num_channels: int, parameters: dict[str, Any]) -> None:
        """Take what the network's ``state()`` gave."""
        self.name, self.num_channels, self.is_fitted, self._parameters = name, num_channels, True, parameters

    def fit(self, videos: Sequence[np.ndarray]) -> "StoredExtractor":
        """Learn nothing; return the extractor itself."""
        return self

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Return the features, which are the embeddings."""
        return features

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the state of the network."""
        return {}, self._parameters


def make_extractor(
    name: str, *, channels: int = 64, device: str = "auto", batch_size: int = 64
) -> "HogExtractor | ImageModelExtractor":
    """Build an extractor by its name.

    Args:
        name: ``hog``, ``dinov2``, ``openclip``, a model's id on the Hugging Face hub, or its local folder.
        channels: principal components of ``hog``; a network has the channels it has.
        device: where a network runs: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` ...
        batch_size: frames per batch of a network.

    Returns:
        The extractor; ``hog`` has yet to be fitted.

    Raises:
        UserError: if there is no such model, or its weights are neither here nor to be had.
    """
    if name == "hog":
        return HogExtractor(channels=channels)
    from tpl_lightning.features.image_models import ImageModelExtractor  # needs torch

    model = str(Path(name).expanduser()) if name.startswith("~") else ALIASES.get(name, name)
    return ImageModelExtractor(model, device=device, batch_size=batch_size)


def extractor_from_state(
    arrays: Mapping[str, np.ndarray], parameters: Mapping[str, Any], *, device: str = "auto", batch_size: int = 64
) -> "HogExtractor | ImageModelExtractor":
    """Rebuild an extractor from what :meth:`Extractor.state` gave.

    Raises:
        UserError: if the state is of no known kind or incomplete, or a network's weights are other ones now.
    """
    if parameters.get("kind") == "image-model":
        from tpl_lightning.features.image_models import ImageModelExtractor  # needs torch

        return ImageModelExtractor.from_state(parameters, device=device, batch_size=batch_size)
    return HogExtractor.from_state(arrays, parameters)


def extractor_of_cache(
    cache: EmbeddingCache, *, device: str = "auto", batch_size: int = 64
) -> "HogExtractor | ImageModelExtractor":
    """Return the extractor that made a cache, ready to embed new videos alike.

    Args:
        cache: the cache.
        device: where a network runs.
        batch_size: frames per batch of a network.

    Raises:
        UserError: if the cache does not say what made it, or a network's weights are not to be had.
    """
    state = cache.extractor_state()
    if state is None:
        raise UserError(
            f"{cache.path}: it does not hold the extractor {cache.extractor!r} that made it, so new videos cannot be "
            "embedded alike; embed all videos with tpl cache embed VIDEOS out=NEW.h5, or give a cache that holds "
            "the new videos too."
        )
    try:
        return extractor_from_state(*state, device=device, batch_size=batch_size)
    except UserError as error:
        raise UserError(f"{cache.path}: its extractor {cache.extractor!r} cannot be used: {error}") from error


def embed_video(path: str | Path, extractor: Extractor, *, fps: float | None = None) -> tuple[np.ndarray, VideoClock]:
    """Embed one video, streaming its frames.

    Convention:
        Row k belongs to the k-th frame that :class:`VideoReader` yields with the same ``fps``.

    Args:
        path: the video file.
        extractor: a fitted extractor.
        fps: frames per second to resample to; None takes all frames as they are.

    Returns:
        Embeddings (T, C), float32, and when each row is shown.

    Raises:
        UserError: if the file cannot be decoded or has fewer than two frames.
    """
    path = Path(path)
    reader = VideoReader(path, size=extractor.decode_size, fps=fps)
    embeddings = extractor(iter(reader))
    if len(embeddings) < 2:
        raise UserError(f"Expected at least 2 frames in {path}, but found {len(embeddings)}.")
    return embeddings, reader.clock
