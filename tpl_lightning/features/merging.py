"""Shards of all processes, merged into one cache."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np

from tpl_lightning.data import EmbeddingCacheWriter
from tpl_lightning.errors import UserError
from tpl_lightning.features.combined import CombinedExtractor
from tpl_lightning.features.extractors import SEES_NOTHING, Projector, blind_parts
from tpl_lightning.features.manifest import MANIFEST, stored_extractor
from tpl_lightning.features.shards import Features, read_shards, shard_folder
from tpl_lightning.files import Outputs, report_broken
from tpl_lightning.labels import PhaseSpans, doubt_of, warn_of_names
from tpl_lightning.video import VideoClock

__all__ = ["merge_shards"]


def merge_shards(out: str | Path, *, extractor: Projector | None = None, skip_broken: bool | None = False) -> Path:
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
    out, folder = Path(out), shard_folder(out)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: expected the shards of tpl cache embed out={out}, but there are none; run that first."
        ) from error
    done, failed = read_shards(folder)
    entries = _finished(manifest["clips"], done, failed, out, skip_broken=skip_broken)
    extractor = extractor or stored_extractor(manifest["extractor"])
    if not extractor.is_fitted:
        extractor.fit([done[entry["key"]].read() for entry in entries if entry["split"] == "train"])
    with EmbeddingCacheWriter(
        out,
        dataset=manifest["dataset"],
        extractor=extractor.name,
        source=manifest["source"],
        phase_names=manifest["phase_names"],
        dtype=manifest["dtype"],
        feature_groups=extractor.feature_groups if isinstance(extractor, CombinedExtractor) else None,
    ) as writer:
        doubts: dict[str, list[str]] = {}
        for entry in entries:
            features = done[entry["key"]]
            embeddings = extractor.transform(features.read())
            for part in blind_parts(extractor, embeddings):
                doubts.setdefault(f"{part} {SEES_NOTHING}", []).append(entry["video_id"])
            clock, frames = features.read_rows()
            labels = _labels(entry["phases"], clock, frames)
            _note_doubt(doubts, entry, clock, frames)
            # Frames that belong to the action; what follows is left out.
            end = len(frames) if entry["num_frames"] is None else int(np.searchsorted(frames, entry["num_frames"]))
            writer.append(
                video_id=entry["video_id"],
                action=entry["action"],
                split=entry["split"],
                embeddings=embeddings[:end],
                labels=None if labels is None else labels[:end],
                fps=features.fps,
                frame_times=clock.times_s[:end],
                file_bytes=entry["file_bytes"],
            )
        writer.set_extractor_state(*extractor.state())
    for doubt, videos in doubts.items():
        warn_of_names(out, doubt, videos)
    for path in [*folder.glob("shard-*"), folder / MANIFEST]:
        path.unlink(missing_ok=True)
    with suppress(OSError):  # another file lies there
        folder.rmdir()
    return out


def _spans(phases: list[Any] | None) -> PhaseSpans | None:
    if phases is None:
        return None
    return PhaseSpans(tuple((float(a), float(b), int(k)) for a, b, k in phases[1:]), cast(Any, phases[0]))


def _labels(phases: list[Any] | None, clock: VideoClock, frames: np.ndarray) -> np.ndarray | None:
    spans = _spans(phases)
    return None if spans is None else spans.labels(clock, frames)


def _note_doubt(doubts: dict[str, list[str]], entry: dict[str, Any], clock: VideoClock, frames: np.ndarray) -> None:
    """Note what is odd about the labels of a video."""
    spans = _spans(entry["phases"])
    if spans is not None and (doubt := doubt_of(spans, clock, frames)):
        doubts.setdefault(doubt, []).append(entry["video_id"])


def _finished(
    entries: list[dict[str, Any]],
    done: dict[str, Features],
    failed: dict[str, str],
    out: Path,
    *,
    skip_broken: bool | None,
) -> list[dict[str, Any]]:
    missing = [entry for entry in entries if entry["key"] not in done and entry["key"] not in failed]
    if missing:
        raise UserError(
            f"{shard_folder(out)}: {len(missing)} of {len(entries)} videos are not embedded yet "
            f"({missing[0]['path']} ...); run the command that embeds them again, or wait for the other processes; "
            "what is finished is kept."
        )
    broken = [failed[entry["key"]] for entry in entries if entry["key"] in failed]
    kept = [entry for entry in entries if entry["key"] in done]
    outputs = Outputs("cache embed")
    kept_text = " (what is finished is kept)"
    report_broken(broken, len(entries), out, outputs, skip=skip_broken, verb="embedded", kept=kept_text)
    if not kept:
        raise UserError(f"{out}: expected at least one video that can be embedded, but found none.")
    return kept
