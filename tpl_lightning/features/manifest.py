"""What the shards of a set of clips are to become: the manifest beside them."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.features.clips import Clip
from tpl_lightning.features.combined import CombinedExtractor
from tpl_lightning.features.extractors import Extractor, Projector, StoredExtractor
from tpl_lightning.features.hog import KIND, HogExtractor, HogParams

__all__ = ["MANIFEST", "make_manifest", "shard_key", "stored_extractor"]

MANIFEST = "manifest.json"
"""File in the folder of shards."""


def shard_key(clip: Clip, extractor: Extractor, fps: float | None) -> str:
    """Return what tells the features of a clip from those of other files, extractors and rates."""
    try:
        stamp = clip.stamp()
    except OSError as error:
        raise UserError(f"Expected a video at {clip.path}, but it cannot be read: {error.strerror}.") from error
    text = f"{extractor.identity}|{fps}|{clip.path.parent.name}|{stamp}|{clip.image_fps}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:24]


def make_manifest(
    clips: Sequence[Clip],
    keys: Sequence[str],
    extractor: Extractor,
    dataset: str,
    source: str,
    phase_names: dict[str, list[str]],
    dtype: str,
) -> dict[str, Any]:
    """Return the manifest: what embeds, and of each clip its place in the cache."""
    entries = [
        {
            "key": key,
            "video_id": clip.video_id,
            "action": clip.action,
            "split": clip.split,
            "path": str(clip.path),
            "phases": None if clip.phases is None else [clip.phases.unit, *clip.phases.spans],
            "num_frames": clip.num_frames,
            "file_bytes": clip.path.stat().st_size if clip.kind == "video" else 0,
        }
        for clip, key in zip(clips, keys, strict=True)
    ]
    names = {"dataset": dataset, "source": source, "phase_names": phase_names, "dtype": dtype}
    return {**names, "extractor": _to_store(extractor), "clips": entries}


def _to_store(extractor: Projector) -> dict[str, Any]:
    """Return what the manifest says of an extractor."""
    if isinstance(extractor, CombinedExtractor):
        return {"parts": [_to_store(part) for part in extractor.parts], "names": extractor.names}
    if isinstance(extractor, HogExtractor):
        stored: dict[str, Any] = {"hog": asdict(extractor.params), "channels": extractor.channels}
        if extractor.is_fitted:
            stored["arrays"] = {name: values.tolist() for name, values in extractor.state()[0].items()}
        return stored
    return {"name": extractor.name, "channels": extractor.num_channels, "parameters": extractor.state()[1]}


def stored_extractor(stored: dict[str, Any]) -> Projector:
    """Rebuild the extractor that a manifest describes, to project with."""
    if "parts" in stored:
        return CombinedExtractor([stored_extractor(part) for part in stored["parts"]], stored["names"])
    if "arrays" in stored:
        arrays = {name: np.array(values, dtype=np.float32) for name, values in stored["arrays"].items()}
        return HogExtractor.from_state(arrays, {"kind": KIND, **stored["hog"]})
    if "hog" in stored:
        return HogExtractor(params=HogParams(**stored["hog"]), channels=stored["channels"])
    return StoredExtractor(stored["name"], stored["channels"], stored["parameters"])
