"""Shards of all processes, merged into one cache."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.data import EmbeddingCacheWriter
from tpl_lightning.errors import UserError
from tpl_lightning.features.base import Extractor
from tpl_lightning.features.extractors import SEES_NOTHING, blind_parts
from tpl_lightning.features.manifest import read_manifest, stored_extractor
from tpl_lightning.features.shards import ShardFolder, VideoFeatures
from tpl_lightning.files import Outputs, report_broken
from tpl_lightning.labels import Doubts, PhaseSpans, doubt_of


def merge_shards(out: str | Path, *, extractor: Extractor | None = None, skip_broken: bool | None = False) -> Path:
    """Write a cache from the shards of all processes, and delete these.

    Args:
        out: the cache file to write; its shards are in ``<out>.shards``.
        extractor: what embedded the videos; None: as the shards say.
        skip_broken: leave out videos that could not be decoded.

    Returns:
        Path of the cache.

    Raises:
        UserError: if there are no shards, or videos are missing.
    """
    out, shards = Path(out), ShardFolder(out)
    manifest = read_manifest(shards.path)
    entries = _finished(manifest["clips"], shards, out, skip_broken=skip_broken)
    extractor = extractor or stored_extractor(manifest["extractor"])
    train: dict[str, VideoFeatures] = {}
    if not extractor.is_fitted:
        keys = [entry["key"] for entry in entries if entry["split"] == "train"]
        train = {key: shards.read(key) for key in keys}
        extractor.fit([train[key].features for key in keys])
    doubts, groups = Doubts(), extractor.feature_groups
    with EmbeddingCacheWriter(out, extractor=extractor.name, feature_groups=groups, **manifest["names"]) as writer:
        for entry in entries:
            video = train.pop(entry["key"], None) or shards.read(entry["key"])
            for doubt in _append(writer, entry, video, extractor):
                doubts.note(doubt, entry["video_id"])
        writer.set_extractor_state(*extractor.state())
    doubts.warn(out)
    shards.remove()
    return out


def _append(
    writer: EmbeddingCacheWriter, entry: dict[str, Any], video: VideoFeatures, extractor: Extractor
) -> Iterator[str]:
    """Write a video; yield what is odd about it, maybe nothing."""
    embeddings, clock, frames = extractor.transform(video.features), video.clock, video.frames
    spans: PhaseSpans | None = entry["phases"]
    # Frames that belong to the action; what follows is left out.
    end = len(frames) if entry["num_frames"] is None else int(np.searchsorted(frames, entry["num_frames"]))
    writer.append(
        **{name: entry[name] for name in ("video_id", "action", "split", "file_bytes")},
        embeddings=embeddings[:end],
        labels=None if spans is None else spans.labels(clock, frames)[:end],
        fps=video.fps,
        frame_times=clock.times_s[:end],
    )
    yield from (f"{part} {SEES_NOTHING}" for part in blind_parts(extractor, embeddings))
    if spans is not None:
        yield doubt_of(spans, clock, frames)


def _finished(
    entries: list[dict[str, Any]], shards: ShardFolder, out: Path, *, skip_broken: bool | None
) -> list[dict[str, Any]]:
    """Return the videos that are embedded; those that could not be are reported."""
    done, failed = shards.done(), shards.failed()
    missing = [entry for entry in entries if entry["key"] not in done | failed.keys()]
    if missing:
        raise UserError(
            f"{shards.path}: {len(missing)} of {len(entries)} videos are not embedded yet "
            f"({missing[0]['path']} ...); run the command that embeds them again, or wait for the other processes; "
            "what is finished is kept."
        )
    broken = [failed[entry["key"]] for entry in entries if entry["key"] in failed]
    kept = " (what is finished is kept)"
    report_broken(broken, len(entries), out, Outputs("cache embed"), skip=skip_broken, verb="embedded", kept=kept)
    if len(broken) == len(entries):
        raise UserError(f"{out}: expected at least one video that can be embedded, but found none.")
    return [entry for entry in entries if entry["key"] in done]
