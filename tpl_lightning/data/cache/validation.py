"""Whether the values of a cache are right: what `tpl cache validate` and every fit look for."""

import warnings
from typing import TYPE_CHECKING

import numpy as np

from tpl_lightning.data.cache.groups import split_columns
from tpl_lightning.data.cache.layout import value_faults
from tpl_lightning.errors import UserError, first_few, plain_warnings

if TYPE_CHECKING:
    from tpl_lightning.data.cache.reader import EmbeddingCache

_STILL = 1e-6  # range of values, per largest value, of a video that does not change


def check_videos(cache: "EmbeddingCache", most_frames: int | None) -> dict[str, list[str]]:
    """Read and check all videos, see :meth:`EmbeddingCache.validate`.

    Returns:
        Names of the videos in which a feature group does not change over time while others do.
    """
    total, count = int(cache.offsets[-1]), len(cache)
    if most_frames is not None and total > most_frames:
        count = max(count * most_frames // total, 1)
    still: list[str] = []
    still_groups: dict[str, list[str]] = {}
    for index in np.linspace(0, len(cache) - 1, count).round().astype(int).tolist():
        values, video = cache.read(index), str(cache.video_id[index])
        parts = {
            group.name: values[:, columns]
            for group, columns in zip(cache.feature_groups, split_columns(cache.feature_groups), strict=True)
        }
        if not np.isfinite(values).all():
            raise _not_finite(cache, index, parts)
        cache.is_finite[index] = True
        cache.labels(index)  # are checked when they are read
        times, progress = cache.frame_times(index), cache.progress(index)
        for fault in value_faults(fps=float(cache.fps[index]), progress=progress, frame_times=times):
            raise cache.place(index)[0].wrong(f"video {video!r}: {fault}")
        groups = [name for name, part in parts.items() if np.ptp(part, axis=0).max() <= _STILL * np.abs(part).max()]
        if len(groups) == len(parts):
            still.append(f"{video!r}{'' if values.any() else ' (all zero)'}")
            continue
        for name in groups:
            still_groups.setdefault(name, []).append(video)
    if still:
        with plain_warnings():
            warnings.warn(
                f"{cache.path}: the embeddings of {len(still)} of {count} videos do not change over time: "
                f"{first_few(still)}. An extractor that failed makes such; embed these videos anew or leave them out.",
                stacklevel=3,
            )
    return still_groups


def _not_finite(cache: "EmbeddingCache", index: int, parts: dict[str, np.ndarray]) -> UserError:
    bad = {name: ~np.isfinite(part) for name, part in parts.items()}
    frame = int(np.flatnonzero(np.concatenate(list(bad.values()), axis=1).any(axis=1))[0])
    found = f"video {str(cache.video_id[index])!r}, frame {frame}: embeddings hold NaN or infinity"
    kept = [name for name in bad if not bad[name].any()]
    if not kept:
        return cache.place(index)[0].wrong(found)
    wrong = ", ".join(repr(name) for name in bad if name not in kept)
    return UserError(
        f"{cache.place(index)[0].path}: {found} in feature group {wrong}; make it anew, or use "
        f"data.groups=[{','.join(kept)}]."
    )
