"""From frames to embeddings: one interface for all extractors, those that a cache names among them."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tpl_lightning.data import ALIASES, EmbeddingCache, FeatureGroup, State, group_name, part_states
from tpl_lightning.errors import UserError
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.video import FrameSize, VideoClock, VideoReader


class Projector(Protocol):
    """The second of an extractor's two steps, from features to embeddings, which may have to be fitted first."""

    @property
    def name(self) -> str:
        """Name for the ``extractor`` attribute of a cache."""

    @property
    def num_features(self) -> int:
        """Length of the feature vector of a frame."""

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

    @property
    def on_device(self) -> bool:
        """Whether a network is in it, which stays in one process."""

    @property
    def decode_size(self) -> FrameSize | tuple[FrameSize, ...]:
        """Makes of a video's width and height those at which frames are best decoded; several, one for each part."""

    def features(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Describe RGB frames, (T, H, W, 3) or an iterable of (H, W, 3), uint8, by features (T, F), float32."""

    def __call__(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Turn RGB frames, (T, H, W, 3) or an iterable of (H, W, 3), uint8, into embeddings (T, C), float32."""


class StoredExtractor:
    """A network's second step: it learns nothing, and its features are embeddings.

    Alone it is what is known of a network when only features that it has made are at hand, not its weights.
    """

    is_fitted = True

    def __init__(self, name: str, num_channels: int, parameters: dict[str, Any]) -> None:
        """Take what a cache says of the network."""
        self.name, self.num_channels, self._parameters = name, num_channels, parameters
        self.num_features = num_channels

    def fit(self, videos: Sequence[np.ndarray]) -> "StoredExtractor":
        """Learn nothing; return the extractor itself."""
        return self

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Return the features, which are the embeddings."""
        return features

    def state(self) -> State:
        """Return what a cache must hold to embed new videos alike: which model, and what tells its weights."""
        return {}, self._parameters


def make_extractor(name: str, *, channels: int = 64, device: str = "auto", batch_size: int = 64) -> Extractor:
    """Build an extractor by its name.

    Args:
        name: ``hog``, ``dinov2``, ``openclip``, ``pose``, a model's id on the Hugging Face hub, or its local folder; a
            cache, for the extractor that made it; or several of these joined by ``+``.
        channels: principal components of ``hog``; a network has the channels it has.
        device: where a network runs: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` ...
        batch_size: frames per batch of a network.

    Returns:
        The extractor; ``hog`` has yet to be fitted.

    Raises:
        UserError: if there is no such model, or its weights are neither here nor to be had. Of several extractors the
            others go on without it, with a warning, where the hub cannot be reached.
    """
    if "+" in name and not Path(name).exists():
        return _combined(name, channels=channels, device=device, batch_size=batch_size)
    if name == "hog":
        return HogExtractor(channels=channels)
    if name.endswith(".h5"):
        return extractor_of_cache(EmbeddingCache(name), device=device, batch_size=batch_size)
    model = str(Path(name).expanduser()) if name.startswith("~") else ALIASES.get(name, name)
    from tpl_lightning.features.pretrained import is_pose_model  # needs torch

    if is_pose_model(model):
        from tpl_lightning.features.pose import PoseExtractor

        return PoseExtractor(model, device=device, batch_size=batch_size)
    from tpl_lightning.features.image_models import ImageModelExtractor

    return ImageModelExtractor(model, device=device, batch_size=batch_size)


def _combined(name: str, **options: Any) -> Extractor:
    """Build the extractors of ``a+b``; one whose weights are not to be had is left out with a warning."""
    from tpl_lightning.features.combined import CombinedExtractor
    from tpl_lightning.features.pretrained import WeightsMissing

    names = [part.strip() for part in name.split("+")]
    if "" in names or len(set(names)) < len(names):
        raise UserError(f"Expected extractors joined by +, each once, as hog+dinov2, but got {name!r}.")
    parts, missing = [], []
    for part in names:
        try:
            parts.append(make_extractor(part, **options))
        except WeightsMissing as error:
            missing.append(error)
            lacking = part
    if missing and not parts:
        raise missing[0]
    if missing:
        kept = "+".join(group_name(part.name) for part in parts)
        warnings.warn(f"{lacking} is left out, embedding by {kept} alone. {missing[-1]}", stacklevel=2)
    return parts[0] if len(parts) == 1 else CombinedExtractor(parts)


def extractor_from_state(
    arrays: Mapping[str, np.ndarray], parameters: Mapping[str, Any], *, device: str = "auto", batch_size: int = 64
) -> Extractor:
    """Rebuild an extractor from what :meth:`Extractor.state` gave.

    Raises:
        UserError: if the state is of no known kind or incomplete, or a network's weights are other ones now.
    """
    if parameters.get("kind") == "image-model":
        from tpl_lightning.features.image_models import ImageModelExtractor  # needs torch

        return ImageModelExtractor.from_state(parameters, device=device, batch_size=batch_size)
    if parameters.get("kind") == "pose":
        from tpl_lightning.features.pose import PoseExtractor

        return PoseExtractor.from_state(parameters, device=device, batch_size=batch_size)
    return HogExtractor.from_state(arrays, parameters)


def extractor_of_cache(cache: EmbeddingCache, *, device: str = "auto", batch_size: int = 64) -> Extractor:
    """Return the extractor that made a cache, ready to embed new videos alike.

    Args:
        cache: the cache.
        device: where a network runs.
        batch_size: frames per batch of a network.

    Raises:
        UserError: if the cache does not say what made it, or a network's weights are not to be had.
    """
    names = [group.name for group in cache.feature_groups]
    states = part_states(cache.extractor_state(), len(names))
    if None in states:
        raise UserError(_not_held(cache, names, states))
    try:
        parts = [extractor_from_state(*state, device=device, batch_size=batch_size) for state in states if state]
    except UserError as error:
        raise UserError(f"{cache.path}: its extractor {cache.extractor!r} cannot be used: {error}") from error
    if len(parts) == 1:
        return parts[0]
    from tpl_lightning.features.combined import CombinedExtractor

    return CombinedExtractor(parts, names)


def _not_held(cache: EmbeddingCache, names: list[str], states: Sequence[State | None]) -> str:
    """Say what of a cache cannot be embedded again."""
    foreign = [name for name, state in zip(names, states, strict=True) if state is None]
    if len(names) == 1 or len(foreign) == len(names):
        return (
            f"{cache.path}: it does not hold the extractor {cache.extractor!r} that made it, so new videos cannot be "
            "embedded alike; embed all videos with tpl cache embed VIDEOS out=NEW.h5, or give a cache that holds "
            "the new videos too."
        )
    kept = ",".join(name for name in names if name not in foreign)
    return (
        f"{cache.path}: feature group {', '.join(map(repr, foreign))} was joined from a cache that does not hold its "
        "extractor, so new videos cannot be embedded alike and must come as a cache too: embed them by this part "
        "yourself and by the others with extractor=CACHE.h5, join the two with tpl cache join, and have both read as "
        f"one with cache='OLD_AND_NEW_*.h5'; or fit again without it (data.groups=[{kept}])."
    )


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
    for part in blind_parts(extractor, embeddings):
        warnings.warn(f"{path}: {part} {SEES_NOTHING}", stacklevel=2)
    return embeddings, reader.clock


SEES_NOTHING = "sees nothing: its features are 0 in all frames"
"""What is said of a part of an extractor, and of the videos where it is so."""


def blind_parts(extractor: Projector, embeddings: np.ndarray) -> list[str]:
    """Return the names of an extractor's feature groups that are 0 throughout the embeddings (T, C) of a video."""
    alone = [FeatureGroup(group_name(extractor.name), extractor.num_channels)]
    groups = getattr(extractor, "feature_groups", alone)  # several extractors side by side have more than one
    ends = np.cumsum([group.channels for group in groups]).tolist()
    return [g.name for g, end in zip(groups, ends, strict=True) if not embeddings[:, end - g.channels : end].any()]
