"""Extractors by name, or as a cache names them, and videos embedded by one."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.data import ALIASES, EmbeddingCache, State, part_states
from tpl_lightning.errors import UserError
from tpl_lightning.features.base import Extractor
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.video import VideoClock, VideoReader

SEES_NOTHING = "sees nothing: its features are 0 in all frames"
"""What is said of a part of an extractor, and of the videos where it is so."""


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
    return _network(model, device=device, batch_size=batch_size)


def _combined(name: str, **options: Any) -> Extractor:
    """Build the extractors of ``a+b``; one whose weights are not to be had is left out with a warning."""
    from tpl_lightning.features.pretrained import WeightsMissing

    names = [part.strip() for part in name.split("+")]
    if "" in names or len(set(names)) < len(names):
        raise UserError(f"Expected extractors joined by +, each once, as hog+dinov2, but got {name!r}.")
    parts, missing = [], {}
    for part in names:
        try:
            parts.append(make_extractor(part, **options))
        except WeightsMissing as error:
            missing[part] = error
    if not parts:
        raise missing[names[0]]
    whole = _side_by_side(parts)
    for part, lacking in missing.items():
        kept = "+".join(group.name for group in whole.feature_groups)
        warnings.warn(f"{part} is left out, embedding by {kept} alone. {lacking}", stacklevel=2)
    return whole


def _side_by_side(parts: Sequence[Extractor], names: Sequence[str] | None = None) -> Extractor:
    from tpl_lightning.features.combined import CombinedExtractor

    return parts[0] if len(parts) == 1 else CombinedExtractor(parts, names)


def _network(model: str, revision: str | None = None, *, device: str, batch_size: int) -> Extractor:
    """Load a pretrained network, as what it is."""
    from tpl_lightning.features.pretrained import find_device, load_checkpoint  # needs torch

    place = find_device(device)  # before minutes are spent on loading
    checkpoint = load_checkpoint(model, revision)
    if checkpoint.is_pose:
        from tpl_lightning.features.pose import PoseExtractor

        return PoseExtractor(checkpoint, device=place, batch_size=batch_size)
    from tpl_lightning.features.image_models import ImageModelExtractor

    return ImageModelExtractor(checkpoint, device=place, batch_size=batch_size)


def extractor_from_state(
    arrays: Mapping[str, np.ndarray], parameters: Mapping[str, Any], *, device: str = "auto", batch_size: int = 64
) -> Extractor:
    """Rebuild an extractor from what :meth:`Extractor.state` gave.

    Raises:
        UserError: if the state is of no known kind or incomplete, or a network's weights are other ones now.
    """
    if parameters.get("kind") not in ("image-model", "pose"):
        return HogExtractor.from_state(arrays, parameters)
    if "model" not in parameters:
        raise UserError("Expected the state of an image model, but it does not name the model.")
    model = str(parameters["model"])
    extractor = _network(model, parameters.get("revision"), device=device, batch_size=batch_size)
    expected, found = parameters.get("fingerprint"), extractor.parameters["fingerprint"]
    if expected not in (None, found):
        raise UserError(
            f"Expected the weights of {model} with which the cache was made (fingerprint {expected}), but found others "
            f"({found}); put the old weights back, or embed all videos anew."
        )
    return extractor


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
    return _side_by_side(parts, names)


def _not_held(cache: EmbeddingCache, names: list[str], states: Sequence[State | None]) -> str:
    """Say what of a cache cannot be embedded again."""
    kept = [name for name, state in zip(names, states, strict=True) if state is not None]
    if not kept:
        return (
            f"{cache.path}: it does not hold the extractor {cache.extractor!r} that made it, so new videos cannot be "
            "embedded alike; embed all videos with tpl cache embed VIDEOS out=NEW.h5, or give a cache that holds "
            "the new videos too."
        )
    foreign = ", ".join(repr(name) for name in names if name not in kept)
    return (
        f"{cache.path}: feature group {foreign} was joined from a cache that does not hold its extractor, so new "
        "videos cannot be embedded alike and must come as a cache too: embed them by this part yourself and by the "
        "others with extractor=CACHE.h5, join the two with tpl cache join, and have both read as one with "
        f"cache='OLD_AND_NEW_*.h5'; or fit again without it (data.groups=[{','.join(kept)}])."
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
    reader = VideoReader(path, size=extractor.decode_sizes, fps=fps)
    embeddings = extractor(iter(reader))
    if len(embeddings) < 2:
        raise UserError(f"Expected at least 2 frames in {path}, but found {len(embeddings)}.")
    for part in blind_parts(extractor, embeddings):
        warnings.warn(f"{path}: {part} {SEES_NOTHING}", stacklevel=2)
    return embeddings, reader.clock


def blind_parts(extractor: Extractor, embeddings: np.ndarray) -> list[str]:
    """Return the names of an extractor's feature groups that are 0 throughout the embeddings (T, C) of a video."""
    groups = extractor.feature_groups
    ends = np.cumsum([group.channels for group in groups])
    return [g.name for g, end in zip(groups, ends, strict=True) if not embeddings[:, end - g.channels : end].any()]
