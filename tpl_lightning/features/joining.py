"""Caches of the same videos by different extractors, put side by side: ``tpl cache join a.h5 b.h5 out=ab.h5``."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tpl_lightning.data import (
    EmbeddingCache,
    EmbeddingCacheWriter,
    FeatureGroup,
    join_states,
    part_states,
    unique_names,
)
from tpl_lightning.errors import UserError, first_few
from tpl_lightning.features.pool import Progress
from tpl_lightning.video import VideoClock

_NEAR = 1e-3  # in frames; clocks that agree so well are the same
_APART = 0.05  # share of a video by which clocks of the same frames may differ
_SHORTEST = 0.5  # share of a video that another cache must cover at least

_Rows = dict[str, int]  # where each video is in a cache


def join_caches(
    caches: Sequence[EmbeddingCache], out: str | Path, *, drop_missing: bool = False, progress: bool = True
) -> Path:
    """Write a cache whose embeddings are those of several caches side by side, a feature group for each part.

    Convention:
        The first cache gives the videos, their order, splits, labels and clock. A frame at second t gets the rows of
        the other caches at t, linearly between two; after their last row that row stays.

    Args:
        caches: Two or more; videos are matched by ``video_id``.
        out: The cache to write.
        drop_missing: Leave out videos that are not in all caches, in place of an error.
        progress: Show progress on standard error.

    Returns:
        Path of the cache.

    Raises:
        UserError: If a video of the first is missing in another or lasts less than half as long there; names it.
    """
    first, others, out = caches[0], caches[1:], Path(out)
    mine, *rows = (dict(zip(cache.video_id.tolist(), range(len(cache)), strict=True)) for cache in caches)
    for cache, theirs in zip(others, rows, strict=True):
        _check_videos(first, mine, cache, theirs, drop_missing=drop_missing)
    videos = [video for video in mine if all(video in theirs for theirs in rows)]
    if not videos:
        raise UserError(f"{out}: no video of {first.path} is in all of the other caches, by video_id.")
    groups = [group for cache in caches for group in cache.feature_groups]
    names = unique_names([group.name for group in groups])
    about = {"dataset": first.dataset, "source": first.source, "extractor": "+".join(c.extractor for c in caches)}
    with (
        EmbeddingCacheWriter(
            out,
            **about,
            phase_names=first.phase_names,
            dtype="float16" if all(cache.dtype == np.float16 for cache in caches) else "float32",
            feature_groups=[FeatureGroup(*named) for named in zip(names, (g.channels for g in groups), strict=True)],
        ) as writer,
        Progress("Joining videos", len(videos), enabled=progress) as bar,
    ):
        for video in videos:
            clock = _clock(first, mine[video])
            parts = [_at(clock, cache, theirs[video]) for cache, theirs in zip(others, rows, strict=True)]
            embeddings = np.concatenate([first.read(mine[video]), *parts], axis=1)
            writer.append(embeddings=embeddings, **first.about(mine[video]))
            bar.advance(frames=clock.num_frames)
        states = [part_states(cache.extractor_state(), len(cache.feature_groups)) for cache in caches]
        writer.set_extractor_state(*join_states([state for own in states for state in own]))
    return out


def _check_videos(
    first: EmbeddingCache, mine: _Rows, cache: EmbeddingCache, theirs: _Rows, *, drop_missing: bool
) -> None:
    """Check that another cache holds the videos of the first; say where it differs."""
    missing = [video for video in mine if video not in theirs]
    extra = [video for video in theirs if video not in mine]
    lacks = f"{cache.path}: lacks {len(missing)} of the videos of {first.path} ({_some(missing)})"
    if len(missing) == len(mine):
        raise UserError(f"{lacks}; it has {_some(list(theirs))}: videos are matched by video_id.")
    if missing and not drop_missing:
        raise UserError(f"{lacks}; embed them too, or leave them out with missing=drop.")
    if missing:
        warnings.warn(f"{lacks}; left out.", stacklevel=3)
    if extra:
        text = f"{len(extra)} videos are not in {first.path} ({_some(extra)}); left out."
        warnings.warn(f"{cache.path}: {text}", stacklevel=3)
    both = [(video, mine[video], theirs[video]) for video in mine if video in theirs]
    differing = [(v, i, k) for v, i, k in both if cache.action[k] != first.action[i]]
    other = [f"{v!r}: '{cache.action[k]}', there '{first.action[i]}'" for v, i, k in differing]
    if other:
        text = f"{len(other)} videos show another action than in {first.path} ({other[0]})"
        warnings.warn(f"{cache.path}: {text}; the latter is kept. Are they the same videos?", stacklevel=3)
    _check_lengths(first, cache, both)


def _check_lengths(first: EmbeddingCache, cache: EmbeddingCache, both: list[tuple[str, int, int]]) -> None:
    """Check that videos, each with its row in either cache, last as long in both."""
    longer = []
    for video, i, k in both:
        wanted, times = _clock(first, i).times_s, _clock(cache, k).times_s
        length, other = float(wanted[-1]), float(times[-1])
        if _same_frames(wanted, times):
            continue
        if other < _SHORTEST * length:
            raise UserError(
                f"{cache.path}: video {video!r} lasts {other:.3g} s by its clock (fps, frame_times), but {length:.3g} "
                f"s in {first.path}: not the same clip, or a wrong clock; mend it, or leave the video out of a cache "
                "and give missing=drop."
            )
        if abs(other - length) > _APART * length + length / (len(wanted) - 1) + other / (len(times) - 1):
            longer.append(f"{video!r}, {other:.3g} s, there {length:.3g} s")
    if longer:
        warnings.warn(
            f"{cache.path}: {len(longer)} videos of another length than in {first.path} (the first: {longer[0]}); rows "
            "are matched by time from the first frame on, what is missing at the end stays as the last row.",
            stacklevel=4,
        )


def _same_frames(wanted: np.ndarray, times: np.ndarray) -> bool:
    """Return whether rows at these seconds are of the same frames: as many, and at the same times.

    Or as many and not as long: then the rate is wrong in one of the caches.
    """
    if len(times) != len(wanted):
        return False
    step = wanted[-1] / (len(wanted) - 1)
    return bool(np.abs(times - wanted).max() <= _NEAR * step or abs(times[-1] - wanted[-1]) > _APART * wanted[-1])


def _clock(cache: EmbeddingCache, row: int) -> VideoClock:
    times = cache.frame_times(row)
    return VideoClock.even(int(cache.lengths[row]), float(cache.fps[row])) if times is None else VideoClock(times)


def _at(clock: VideoClock, cache: EmbeddingCache, row: int) -> np.ndarray:
    """Return the embeddings of a video at the times of a clock, linearly between rows; the ends stay."""
    values, times, wanted = cache.read(row), _clock(cache, row).times_s, clock.times_s
    if _same_frames(wanted, times):
        return values
    place = np.interp(wanted, times, np.arange(len(times)))
    low = np.minimum(place.astype(int), len(times) - 2)
    weight = (place - low).astype(np.float32)[:, None]
    return (1 - weight) * values[low] + weight * values[low + 1]


def _some(videos: Sequence[str]) -> str:
    return first_few([repr(video) for video in videos])
