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
    first, out = caches[0], Path(out)
    rows = [{str(video): i for i, video in enumerate(cache.video_id)} for cache in caches]
    videos = _common(caches, rows, drop_missing=drop_missing)
    _note_actions(caches, rows, videos)
    longer: dict[str, str] = {}
    with (
        EmbeddingCacheWriter(
            out,
            dataset=first.dataset,
            extractor="+".join(cache.extractor for cache in caches),
            source=first.source,
            phase_names=first.phase_names,
            dtype="float16" if all(cache.dtype == np.float16 for cache in caches) else "float32",
            feature_groups=_groups(caches),
        ) as writer,
        Progress("Joining videos", len(videos), enabled=progress) as bar,
    ):
        for video in videos:
            row = rows[0][video]
            clock, others = _clock(first, row), zip(caches[1:], rows[1:], strict=True)
            parts = [_at(clock, cache, known[video], first, longer) for cache, known in others]
            writer.append(
                video_id=video,
                action=str(first.action[row]),
                split=str(first.split[row]),
                embeddings=np.concatenate([first.read(row), *parts], axis=1),
                labels=first.labels(row) if first.has_labels else None,
                fps=float(first.fps[row]),
                progress=first.progress(row),
                frame_times=first.frame_times(row),
                file_bytes=int(first.file_bytes[row]),
            )
            bar.advance(frames=clock.num_frames)
        states = [part_states(cache.extractor_state(), len(cache.feature_groups)) for cache in caches]
        writer.set_extractor_state(*join_states([state for own in states for state in own]))
    for path, text in longer.items():
        warnings.warn(f"{path}: {text}", stacklevel=2)
    return out


def _groups(caches: Sequence[EmbeddingCache]) -> list[FeatureGroup]:
    groups = [group for cache in caches for group in cache.feature_groups]
    names = unique_names([group.name for group in groups])
    return [FeatureGroup(name, group.channels) for name, group in zip(names, groups, strict=True)]


def _common(caches: Sequence[EmbeddingCache], rows: Sequence[dict[str, int]], *, drop_missing: bool) -> list[str]:
    """Return the videos of the first cache that are in all."""
    videos = [str(video) for video in caches[0].video_id]
    for cache, known in zip(caches[1:], rows[1:], strict=True):
        missing = [video for video in videos if video not in known]
        text = f"{cache.path}: lacks {len(missing)} of the videos of {caches[0].path} ({_some(missing)})"
        if len(missing) == len(videos):
            raise UserError(f"{text}; it has {_some(list(known))}: videos are matched by video_id.")
        if missing and not drop_missing:
            raise UserError(f"{text}; embed them too, or leave them out with missing=drop.")
        if missing:
            warnings.warn(f"{text}; left out.", stacklevel=3)
        videos = [video for video in videos if video in known]
        if not videos:
            raise UserError(f"{text}; no video is in all caches.")
        extra = [video for video in known if video not in rows[0]]
        if extra:
            text = f"{len(extra)} videos are not in {caches[0].path} ({_some(extra)}); left out."
            warnings.warn(f"{cache.path}: {text}", stacklevel=3)
    return videos


def _note_actions(caches: Sequence[EmbeddingCache], rows: Sequence[dict[str, int]], videos: Sequence[str]) -> None:
    first = caches[0]
    for cache, known in zip(caches[1:], rows[1:], strict=True):
        other = [v for v in videos if cache.action[known[v]] != first.action[rows[0][v]]]
        if other:
            one = other[0]
            warnings.warn(
                f"{cache.path}: {len(other)} videos show another action than in {first.path} ({one!r}: "
                f"{str(cache.action[known[one]])!r}, there {str(first.action[rows[0][one]])!r}); the latter is kept. "
                "Are they the same videos?",
                stacklevel=3,
            )


def _clock(cache: EmbeddingCache, row: int) -> VideoClock:
    times = cache.frame_times(row)
    return VideoClock.even(int(cache.lengths[row]), float(cache.fps[row])) if times is None else VideoClock(times)


def _at(
    clock: VideoClock, cache: EmbeddingCache, row: int, first: EmbeddingCache, longer: dict[str, str]
) -> np.ndarray:
    """Return the embeddings of a video of another cache at the times of the first's clock."""
    values, own = cache.read(row), _clock(cache, row)
    wanted, times = clock.times_s, own.times_s
    length, other = float(wanted[-1]), float(times[-1])
    if len(times) == len(wanted):
        same_frames = np.abs(times - wanted).max() * (len(wanted) - 1) <= _NEAR * length
        # As many frames, but not as long: the same frames, and a rate that is wrong in one of the caches.
        if same_frames or abs(other - length) > _APART * length:
            return values
    video = str(cache.video_id[row])
    if other < _SHORTEST * length:
        raise UserError(
            f"{cache.path}: video {video!r} lasts {other:.3g} s by its clock (fps, frame_times), but {length:.3g} s in "
            f"{first.path}: not the same clip, or a wrong clock; mend it, or leave the video out of a cache and give "
            "missing=drop."
        )
    if abs(other - length) > _APART * length + length / (len(wanted) - 1) + other / (len(times) - 1):
        longer.setdefault(
            str(cache.path),
            f"videos of another length than in {first.path} (the first: {video!r}, {other:.3g} s, there {length:.3g} "
            "s); rows are matched by time from the first frame on, what is missing at the end stays as the last row.",
        )
    return _interpolated(values, times, wanted)


def _interpolated(values: np.ndarray, times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return rows (L, C) at the wanted times (W,), linearly between the times (L,) of rows; the ends stay."""
    place = np.interp(wanted, times, np.arange(len(times)))
    low = np.minimum(place.astype(int), len(times) - 2)
    weight = (place - low).astype(np.float32)[:, None]
    return (1 - weight) * values[low] + weight * values[low + 1]


def _some(videos: Sequence[str]) -> str:
    return first_few([repr(video) for video in videos])
