"""Embedding clips: resumable, shared among processes and machines, merged into one cache.

Each process keeps the features of every video that it has finished in a folder beside the cache; a command that was
killed goes on where it was. A video is done again if its file, the extractor or ``fps`` changes.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.features.base import Extractor
from tpl_lightning.features.clips import Clip, ClipReader
from tpl_lightning.features.manifest import shard_key, write_manifest
from tpl_lightning.features.merging import merge_shards
from tpl_lightning.features.pool import Progress, run_parallel, usable_cores
from tpl_lightning.features.shards import ShardFolder, VideoFeatures
from tpl_lightning.video import check_fps, prefetched

_Keyed = tuple[str, Clip]  # with the key of its features


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
    """Embed clips and write an embedding cache; return its path, None if other processes are still at work.

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
        num_workers: processes (HOG) or videos decoded ahead (networks); None: one per core. No result depends on it.
        skip_broken: leave out videos that cannot be decoded, with a warning; None: no, and there is no such choice.
        progress: show progress on standard error.
        alone: embed all clips in this process, whatever the environment says.

    Raises:
        UserError: if videos cannot be embedded (after all others have been), or there are too few frames.
    """
    check_fps(fps)
    _check_names(clips)
    rank, world = (0, 1) if alone else _rank_and_world()
    shards, keys = ShardFolder(out), [shard_key(clip, extractor, fps) for clip in clips]
    names = {"dataset": dataset, "source": source, "phase_names": phase_names or {}, "dtype": dtype}
    shards.drop_old()
    write_manifest(shards.path, clips, keys, extractor, names)
    # The share of a process does not depend on what is done, which processes may see at different times.
    share = dict(list(zip(keys, clips, strict=True))[rank::world])
    with shards.locked(rank):
        done = shards.done()
        left = [(key, clip) for key, clip in share.items() if key not in done]
        with Progress("Embedding videos", len(share), done=len(share) - len(left), enabled=progress) as bar:
            for key, found in _embedded(left, extractor, fps, num_workers):
                bar.advance(frames=shards.add(key, found))
    _wait_for_others(world)
    if rank != 0 or (world > 1 and not set(keys) <= shards.done() | shards.failed().keys()):
        return None
    return merge_shards(out, extractor=extractor, skip_broken=skip_broken)


def _embedded(
    clips: list[_Keyed], extractor: Extractor, fps: float | None, num_workers: int | None
) -> Iterator[tuple[str, VideoFeatures | str]]:
    """Yield the key of each clip and its features, or what is wrong with it, as they are done."""
    if not extractor.on_device:
        work = partial(_decode_and_embed, extractor=extractor, fps=fps)
        for key, found, messages in run_parallel(work, clips, num_workers=num_workers):
            for message in messages:
                warnings.warn(message, stacklevel=2)
            yield key, found
        return
    # One network on one device: the videos ahead are decoded while it works.
    ahead = max(1, usable_cores() if num_workers is None else num_workers)
    readers = [clip.reader(size=extractor.decode_sizes, fps=fps) for _, clip in clips]
    streams = prefetched(
        [reader.__iter__ for reader in readers], ahead=min(ahead, 8), size=2 * extractor.frames_at_once
    )
    for (key, clip), reader, frames in zip(clips, readers, streams, strict=True):
        yield key, _features(clip, reader, frames, extractor, fps)


def _decode_and_embed(
    clip: _Keyed, extractor: Extractor, fps: float | None
) -> tuple[str, VideoFeatures | str, list[str]]:
    """Return what :func:`_embedded` does of a clip, and the warnings of a worker process."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reader = clip[1].reader(size=extractor.decode_sizes, fps=fps)
        found = _features(clip[1], reader, iter(reader), extractor, fps)
    return clip[0], found, [str(warning.message) for warning in caught]


def _features(
    clip: Clip, reader: ClipReader, frames: Iterator[np.ndarray], extractor: Extractor, fps: float | None
) -> VideoFeatures | str:
    """Return the features of a clip, or what is wrong with it."""
    try:
        features = extractor.features(frames)
    except UserError as error:
        return str(error)
    if len(features) < 2:
        return f"Expected at least 2 frames in {clip.path}, but found {len(features)}."
    numbers, clock = np.array(reader.frames, dtype=np.int64), reader.clock
    return VideoFeatures(np.asarray(features, np.float32), clock.times_s, numbers, fps or clock.fps)


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
