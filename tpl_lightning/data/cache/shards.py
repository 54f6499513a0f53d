"""Several cache files that are read as one: ``data.cache='embeddings/part-*.h5'``."""

import glob
import resource
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.data.cache.groups import State
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import FileError, UserError

__all__ = ["ShardedCache", "open_cache"]

_OTHER_FILES = 256  # that a process opens: libraries, pipes to its workers


def open_cache(path: str | Path, groups: Sequence[str] | None = None) -> EmbeddingCache:
    """Return the cache of a file, or of all files that a glob pattern names.

    Args:
        path: The file; or a pattern with ``*``, ``?`` or ``[...]``, where no file has just that name.
        groups: Names of the feature groups to read; None: all.

    Raises:
        UserError: As :class:`EmbeddingCache` and :class:`ShardedCache`; or if no file fits the pattern, or there is
            no such group.

    Example:
        >>> open_cache("parts/part-*.h5")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        tpl_lightning.errors.FileError: parts/part-*.h5: no embedding cache fits this pattern; ...
    """
    return _open(str(path)).choose(groups)


def _open(pattern: str) -> EmbeddingCache:
    if Path(pattern).is_file() or not glob.has_magic(pattern):
        return EmbeddingCache(pattern)
    files = sorted(glob.glob(pattern, recursive=True))
    if not files:
        raise FileError(
            f"{pattern}: no embedding cache fits this pattern; give existing files with data.cache=PATTERN."
        )
    _allow_open_files(2 * len(files) + _OTHER_FILES)  # one for each, and one more while it is looked at
    return EmbeddingCache(files[0]) if len(files) == 1 else ShardedCache(pattern, [EmbeddingCache(f) for f in files])


def _allow_open_files(count: int) -> None:
    """Let this process open that many files, as far as the system allows; 256 and 1,024 are usual at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class ShardedCache(EmbeddingCache):
    """Caches of one data set and extractor, read as one; the videos in the order of the shards.

    Args:
        pattern: What named the files, for messages.
        shards: The caches.

    Attributes:
        path: The pattern.

    Raises:
        UserError: If the shards do not belong together, or a video is in two of them; names the files.
    """

    def __init__(self, pattern: str | Path, shards: list[EmbeddingCache]) -> None:
        """Join the metadata."""
        self.path, self.shards = Path(pattern), shards
        first = shards[0]
        self.dataset, self.extractor, self.source = first.dataset, first.extractor, first.source
        self.feature_groups = self._stored_groups = first.feature_groups
        self.still_groups = {}
        self.num_channels, self.dtype = first.num_channels, np.result_type(*[s.dtype for s in shards])
        self.phase_names: dict[str, list[str]] = {}
        for shard in shards:
            self._check_alike(first, shard)
            self.phase_names |= shard.phase_names
        self.has_labels, self.has_progress, self.has_frame_times = (
            any(getattr(s, k) for s in shards) for k in ("has_labels", "has_progress", "has_frame_times")
        )
        self.video_id, self.action, self.split, self.lengths, self.fps, self.file_bytes = (
            np.concatenate([getattr(shard, name) for shard in shards])
            for name in ("video_id", "action", "split", "lengths", "fps", "file_bytes")
        )
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self._starts = np.cumsum([0, *map(len, shards)])  # number of each shard's first video
        self._is_finite = np.zeros(len(self.video_id), dtype=bool)
        self._check_once()

    def _check_alike(self, first: EmbeddingCache, shard: EmbeddingCache) -> None:
        for name in ("dataset", "extractor", "num_channels", "feature_groups"):
            one, other = getattr(first, name), getattr(shard, name)
            if one != other:
                raise UserError(
                    f"{shard.path}: {name} is {other!r}, but {one!r} in {first.path}; name files of one set with "
                    "data.cache=PATTERN."
                )
        if shard is not first and not _same_state(first.extractor_state(), shard.extractor_state()):
            raise UserError(
                f"{shard.path}: embedded with other parameters of {shard.extractor!r} than {first.path}; embed all "
                "videos in one run (`tpl cache embed`), which may be shared among processes."
            )
        for action, names in shard.phase_names.items():
            if self.phase_names.get(action, names) != names:
                raise UserError(
                    f"{shard.path}: the phases of {action!r} are {names}, but {self.phase_names[action]} in the files "
                    f"before it; make the caches of {self.path} anew with the same phases."
                )

    def _check_once(self) -> None:
        order = np.argsort(self.video_id, kind="stable")
        twice = np.flatnonzero(self.video_id[order][1:] == self.video_id[order][:-1])
        if len(twice):
            one, other = (self._shard(int(order[twice[0] + k]))[0].path for k in (0, 1))
            raise UserError(
                f"{other}: video {str(self.video_id[order[twice[0]]])!r} is in {one} as well; leave one of the files "
                "out of data.cache=PATTERN."
            )

    def _shard(self, index: int) -> tuple[EmbeddingCache, int]:
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self.shards[number], index - int(self._starts[number])

    def _holder(self, index: int) -> EmbeddingCache:
        return self._shard(index)[0]

    def choose(self, groups: Sequence[str] | None) -> EmbeddingCache:
        """Return the cache with these feature groups alone, in this order; None: as it is."""
        chosen = super().choose(groups)
        if isinstance(chosen, ShardedCache) and chosen is not self:
            chosen.shards = [shard.choose(groups) for shard in self.shards]
        return chosen

    @property
    def files(self) -> list[Path]:
        """Return the files of all shards."""
        return [shard.path for shard in self.shards]

    def _rows(self, index: int) -> np.ndarray:
        shard, own = self._shard(index)
        return shard._rows(own)

    def _read_into(self, indices: np.ndarray, frames: np.ndarray, labels: np.ndarray | None, at: np.ndarray) -> None:
        for shard, own, mine in self._parted(indices):
            shard._read_into(own, frames, labels, at[mine])

    def _parted(self, indices: np.ndarray) -> Iterator[tuple[EmbeddingCache, np.ndarray, np.ndarray]]:
        """Yield shards, the numbers of the videos in them, and a mask (K,) of which these are."""
        numbers = np.searchsorted(self._starts, indices, side="right") - 1
        for number in np.unique(numbers).tolist():
            mine = numbers == number
            yield self.shards[number], indices[mine] - self._starts[number], mine

    def labels(self, index: int) -> np.ndarray:
        """Return the phase of each frame (L_i,) int16, -1 where unlabelled."""
        shard, own = self._shard(index)
        return shard.labels(own)

    def progress(self, index: int) -> np.ndarray | None:
        """Return the true progress of each frame (L_i,) float32, None where unknown."""
        shard, own = self._shard(index)
        return shard.progress(own)

    def frame_times(self, index: int) -> np.ndarray | None:
        """Return the seconds from a video's first frame to each frame (L_i,) float64, None where unknown."""
        shard, own = self._shard(index)
        return shard.frame_times(own)

    def extractor_state(self) -> State | None:
        """Return arrays and parameters stored by the extractor of the first shard, None if it stored none."""
        return self.shards[0].extractor_state()


def _same_state(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    arrays, others = one[0], other[0]
    same = arrays.keys() == others.keys() and all(np.array_equal(arrays[name], others[name]) for name in arrays)
    return bool(same and one[1] == other[1])
