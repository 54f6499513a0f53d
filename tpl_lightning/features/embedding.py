"""Embedding clips: resumable, shared among processes and machines, merged into one cache.

Each process writes the features of the videos it has finished to a shard of its own beside the cache; a command that
was killed goes on where it was. A video is done again if its file, the extractor or ``fps`` changes.
"""

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.features.clips import Clip, ClipReader
from tpl_lightning.features.extractors import Extractor
from tpl_lightning.features.manifest import MANIFEST, make_manifest, shard_key
from tpl_lightning.features.merging import merge_shards
from tpl_lightning.features.pool import Progress, parallel_imap, usable_cores
from tpl_lightning.features.shards import ShardWriter, read_shards, shard_folder
from tpl_lightning.files import write_atomically
from tpl_lightning.video import VideoClock, check_fps, prefetched

__all__ = ["embed_clips"]


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
    keys = [shard_key(clip, extractor, fps) for clip in clips]
    manifest = make_manifest(clips, keys, extractor, dataset, source, phase_names or {}, dtype)
    write_atomically(folder / MANIFEST, json.dumps(manifest))
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
