"""What the shards of a set of clips are to become: the manifest beside them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.features.base import Extractor
from tpl_lightning.features.clips import Clip
from tpl_lightning.features.combined import CombinedExtractor
from tpl_lightning.features.gradients import HogParams
from tpl_lightning.features.hog import KIND, HogExtractor
from tpl_lightning.features.shards import MANIFEST
from tpl_lightning.files import write_atomically
from tpl_lightning.labels import PhaseSpans


def shard_key(clip: Clip, extractor: Extractor, fps: float | None) -> str:
    """Return what tells the features of a clip from those of other files, extractors and rates."""
    try:
        stamp = clip.stamp()
    except OSError as error:
        raise UserError(f"Expected a video at {clip.path}, but it cannot be read: {error.strerror}.") from error
    text = f"{extractor.identity}|{fps}|{clip.path.parent.name}|{stamp}|{clip.image_fps}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:24]


def write_manifest(
    folder: Path, clips: Sequence[Clip], keys: Sequence[str], extractor: Extractor, names: dict[str, Any]
) -> None:
    """Write what embeds, and of each clip its place in the cache.

    Args:
        folder: Of the shards.
        clips: What is embedded.
        keys: Of the clips' features, see :func:`shard_key`.
        extractor: What embeds.
        names: What else the cache holds, as :class:`EmbeddingCacheWriter` takes it.
    """
    entries = [
        {
            **asdict(clip),
            "path": str(clip.path),
            "key": key,
            "file_bytes": clip.path.stat().st_size if clip.kind == "video" else 0,
        }
        for clip, key in zip(clips, keys, strict=True)
    ]
    manifest = {"names": names, "extractor": _to_store(extractor), "clips": entries}
    write_atomically(folder / MANIFEST, json.dumps(manifest))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return ``names``, ``extractor`` (see :func:`stored_extractor`) and ``clips`` as they were written.

    Raises:
        UserError: If there is none.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for entry in manifest["clips"]:
            entry["phases"] = None if entry["phases"] is None else PhaseSpans(**entry["phases"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        out = str(folder).removesuffix(".shards")
        raise UserError(
            f"{folder}: expected the shards of tpl cache embed out={out}, but there are none; run that first."
        ) from error
    return manifest


def _to_store(extractor: Extractor) -> dict[str, Any]:
    """Return what the manifest says of an extractor."""
    if isinstance(extractor, CombinedExtractor):
        return {"parts": [_to_store(part) for part in extractor.parts], "names": extractor.names}
    stored = {"name": extractor.name, "channels": extractor.num_channels, "parameters": extractor.parameters}
    arrays = extractor.state()[0] if extractor.is_fitted else {}
    return {**stored, "arrays": {name: values.tolist() for name, values in arrays.items()}}


def stored_extractor(stored: dict[str, Any]) -> Extractor:
    """Rebuild the extractor that a manifest describes, to project with."""
    if "parts" in stored:
        return CombinedExtractor([stored_extractor(part) for part in stored["parts"]], stored["names"])
    parameters = dict(stored["parameters"])
    if parameters.get("kind") != KIND:
        return Extractor(stored["name"], stored["channels"], parameters)
    if stored["arrays"]:
        return HogExtractor.from_state(
            {name: np.array(values) for name, values in stored["arrays"].items()}, parameters
        )
    del parameters["kind"]
    return HogExtractor(params=HogParams(**parameters), channels=stored["channels"])
