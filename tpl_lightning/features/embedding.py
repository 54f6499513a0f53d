"""Embedding clips: resumable, shared among processes and machines, merged into one cache.

Each process writes the features of the videos it has finished to a shard of its own beside the cache; a command that
was killed goes on where it was. A video is done again if its file, the extractor or ``fps`` changes.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np

from tpl_lightning.data import EmbeddingCacheWriter
from tpl_lightning.errors import UserError
from tpl_lightning.features.clips import Clip, ClipReader, clips_of_folder
from tpl_lightning.features.combined import CombinedExtractor
from tpl_lightning.features.extractors import SEES_NOTHING, Extractor, Projector, StoredExtractor, blind_parts
from tpl_lightning.features.hog import KIND, HogExtractor, HogParams
from tpl_lightning.features.pool import Progress, parallel_imap, usable_cores
from tpl_lightning.features.shards import Features, ShardWriter, read_shards, shard_folder
from tpl_lightning.files import Outputs, report_broken, write_atomically
from tpl_lightning.labels import PhaseSpans, doubt_of, warn_of_names
from tpl_lightning.video import VideoClock, check_fps, prefetched

__all__ = ["embed_clips", "embed_folder", "merge_shards"]

_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class _Job:
    clip: Clip
    extractor: Extractor
    fps: float | None


@dataclass(frozen=True)
class _Result:
    features: np.ndarray
    fps: float
    clock: VideoClock
    """When each row is shown."""
    frames: np.ndarray
    """The frame of the file that each row is."""
    problem: str = ""
    warnings: tuple[str, ...] = ()


def embed_clips(
    clips: Sequence[Clip],
    out: str | Path,
    *,
    extractor: Extractor,
    dataset: str,
    source: str,
    phase_names: dict[str, list[str]] | None = None,
    fps: float | None = None,
    dtype: str = "float16",
    num_workers: int | None = None,
    skip_broken: bool | None = False,
    progress: bool = True,
    alone: bool = False,
) -> Path | None:
    """Embed clips and write an embedding cache.

    Under torchrun, or with ``RANK`` and ``WORLD_SIZE`` set by hand, each process embeds its share; rank 0 merges.

    Args:
        clips: what to embed, each with a split.
        out: the cache file to write.
        extractor: what embeds; one that is not fitted yet is fitted on the training split and stored in the cache.
        dataset: name of the data set in the cache.
        source: where the videos come from, in words.
        phase_names: names of each action's phases in order.
        fps: frames per second to resample videos to; None keeps all frames.
        dtype: ``float16`` or ``float32`` on disk.
        num_workers: processes (HOG) or videos decoded ahead (networks); None for one per core. The result does not
            depend on it.
        skip_broken: leave out videos that cannot be decoded, with a warning, in place of an error; None: no, and the
            user has no such choice.
        progress: show progress on standard error.
        alone: embed all clips in this process, whatever the environment says.

    Returns:
        Path of the cache; None if other processes are still at work, so that it is not there yet.

    Raises:
        UserError: if videos cannot be embedded (after all others have been), or there are too few frames.
    """
    check_fps(fps)
    _check_names(clips)
    out, folder = Path(out), shard_folder(out)
    rank, world = (0, 1) if alone else _rank_and_world()
    keys = [_key(clip, extractor, fps) for clip in clips]
    manifest = _manifest(clips, keys, extractor, dataset, source, phase_names or {}, dtype)
    write_atomically(folder / _MANIFEST, json.dumps(manifest))
    done, _ = read_shards(folder)
    # The share of a process does not depend on what is done, which processes may see at different times.
    mine = [index for index in range(len(clips)) if index % world == rank]
    left = [index for index in mine if keys[index] not in done]
    with (
        ShardWriter(folder, rank) as shard,
        Progress("Embedding videos", len(mine), done=len(mine) - len(left), enabled=progress) as bar,
    ):
        for position, result in _results([_Job(clips[i], extractor, fps) for i in left], num_workers):
            key = keys[left[position]]
            for message in result.warnings:
                warnings.warn(message, stacklevel=2)
            if result.problem:
                shard.fail(key, result.problem)
            else:
                shard.append(key, result.features, fps=result.fps, clock=result.clock, frames=result.frames)
            bar.advance(frames=len(result.features))
    _wait_for_others(world)
    if rank != 0:
        return None
    if world > 1 and _is_unfinished(folder, keys):
        return None
    return merge_shards(out, extractor=extractor, skip_broken=skip_broken)


def embed_folder(
    root: str | Path,
    out: str | Path,
    *,
    dataset: str = "videos",
    extractor: Extractor | None = None,
    channels: int = 64,
    fps: float | None = None,
    num_workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Embed the videos ``<root>/<action>/<video>.<ext>`` and write an embedding cache without labels.

    About a quarter of the videos of each action go to the test split, chosen by a hash of their names, the others to
    train.

    Args:
        root: folder with one folder per action, at least two videos in each.
        out: the cache file to write.
        dataset: name of the data set in the cache.
        extractor: an extractor; a fitted one is used as it is, so that embeddings are comparable with those of another
            cache. None: HOG and PCA.
        channels: principal components to keep; ignored if ``extractor`` is given.
        fps: frames per second to resample videos to; None keeps all frames.
        num_workers: processes; None for one per core. The result does not depend on it.
        progress: show progress on standard error.

    Returns:
        Path of the cache.

    Raises:
        UserError: if there are no videos, an action has only one, a file cannot be decoded or has fewer than two
            frames, or there are too few frames for the channels.
    """
    clips = clips_of_folder(root)
    embed_clips(
        clips,
        out,
        extractor=extractor or HogExtractor(channels=channels),
        dataset=dataset,
        source=f"videos: {len(clips)} files in {Path(root).name}",
        fps=fps,
        num_workers=num_workers,
        progress=progress,
        alone=True,
    )
    return Path(out)


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
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: expected the shards of tpl cache embed out={out}, but there are none; run that first."
        ) from error
    done, failed = read_shards(folder)
    entries = _finished(manifest["clips"], done, failed, out, skip_broken=skip_broken)
    extractor = extractor or _stored_extractor(manifest["extractor"])
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
    for path in [*folder.glob("shard-*"), folder / _MANIFEST]:
        path.unlink(missing_ok=True)
    with suppress(OSError):  # another file lies there
        folder.rmdir()
    return out


def _results(jobs: list[_Job], num_workers: int | None) -> Iterator[tuple[int, _Result]]:
    if jobs and jobs[0].extractor.on_device:
        # One network on one device: the videos ahead are decoded while it works.
        ahead = max(1, usable_cores() if num_workers is None else num_workers)
        extractor, size = jobs[0].extractor, 2 * jobs[0].extractor.frames_at_once
        readers = [job.clip.reader(size=extractor.decode_size, fps=job.fps) for job in jobs]
        openers = [lambda reader=reader: iter(reader) for reader in readers]
        for position, frames in enumerate(prefetched(openers, ahead=min(ahead, 8), size=size)):
            yield position, _embed(jobs[position], readers[position], frames)
    else:
        yield from parallel_imap(_decode_and_embed, jobs, num_workers=num_workers)


def _decode_and_embed(job: _Job) -> _Result:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reader = job.clip.reader(size=job.extractor.decode_size, fps=job.fps)
        result = _embed(job, reader, iter(reader))
    return replace(result, warnings=tuple(str(warning.message) for warning in caught))


def _embed(job: _Job, reader: ClipReader, frames: Iterator[np.ndarray]) -> _Result:
    try:
        features = job.extractor.features(frames)
        if len(features) < 2:
            raise UserError(f"Expected at least 2 frames in {job.clip.path}, but found {len(features)}.")
        return _Result(features, job.fps or reader.clock.fps, reader.clock, np.array(reader.frames, dtype=np.int64))
    except UserError as error:
        return _Result(np.zeros((0, 1), np.float32), 0.0, VideoClock(np.zeros(0)), np.zeros(0, np.int64), str(error))


def _check_names(clips: Sequence[Clip]) -> None:
    """Look for two videos of one name before hours are spent on them."""
    paths: dict[str, Path] = {}
    for clip in clips:
        if clip.video_id in paths:
            raise UserError(
                f"{clip.path}: the name {clip.video_id!r} is that of {paths[clip.video_id]} too; rename one, or give "
                "both in a CSV list with names of their own in the column video_id."
            )
        paths[clip.video_id] = clip.path


def _key(clip: Clip, extractor: Extractor, fps: float | None) -> str:
    try:
        stamp = clip.stamp()
    except OSError as error:
        raise UserError(f"Expected a video at {clip.path}, but it cannot be read: {error.strerror}.") from error
    text = f"{extractor.identity}|{fps}|{clip.path.parent.name}|{stamp}|{clip.image_fps}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:24]


def _manifest(
    clips: Sequence[Clip],
    keys: Sequence[str],
    extractor: Extractor,
    dataset: str,
    source: str,
    phase_names: dict[str, list[str]],
    dtype: str,
) -> dict[str, Any]:
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


def _stored_extractor(stored: dict[str, Any]) -> Projector:
    if "parts" in stored:
        return CombinedExtractor([_stored_extractor(part) for part in stored["parts"]], stored["names"])
    if "arrays" in stored:
        arrays = {name: np.array(values, dtype=np.float32) for name, values in stored["arrays"].items()}
        return HogExtractor.from_state(arrays, {"kind": KIND, **stored["hog"]})
    if "hog" in stored:
        return HogExtractor(params=HogParams(**stored["hog"]), channels=stored["channels"])
    return StoredExtractor(stored["name"], stored["channels"], stored["parameters"])


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


def _is_unfinished(folder: Path, keys: Sequence[str]) -> bool:
    done, failed = read_shards(folder)
    return any(key not in done and key not in failed for key in keys)


def _rank_and_world() -> tuple[int, int]:
    try:
        rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError as error:
        raise UserError(f"Expected RANK and WORLD_SIZE to be numbers, but found others ({error}).") from error
    if not 0 <= rank < world:
        raise UserError(f"Expected RANK in 0..WORLD_SIZE - 1, but got RANK={rank} WORLD_SIZE={world}; set both.")
    return rank, world


def _wait_for_others(world: int) -> None:
    """Wait for all processes of a torchrun; those started by hand do not know each other."""
    if world == 1 or "MASTER_ADDR" not in os.environ:
        return
    from torch import distributed

    distributed.init_process_group("gloo", timeout=timedelta(days=30))
    distributed.barrier()
    distributed.destroy_process_group()
