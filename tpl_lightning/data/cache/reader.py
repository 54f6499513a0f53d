"""The reader of embedding caches: one file, or several that are read as one."""

import copy
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.data.cache.file import DAMAGE, CacheFile
from tpl_lightning.data.cache.groups import State, find_groups, join_states, part_states, split_columns
from tpl_lightning.data.cache.layout import all_finite
from tpl_lightning.data.cache.shards import check_alike, find_files
from tpl_lightning.data.cache.validation import check_videos


class EmbeddingCache:
    """Reader of an embedding cache: metadata in memory, embeddings read video by video.

    Args:
        path: The cache file; or a pattern with ``*``, ``?`` or ``[...]``, where no file has just that name. Several
            files, of one data set and extractor, are read as one, the videos in the order of the files.

    Attributes:
        video_id, action, split: (N,) strings.
        offsets: (N + 1,) int64, first row of each video.
        lengths: (N,) int64, frames of each video.
        fps: (N,) float32.
        file_bytes: (N,) int64, size of each video's file, 0 where unknown.
        phase_names: Names of each action's phases in order.
        feature_groups: Name and channels of what different extractors made, side by side.
        is_finite: (N,) whether a video was read before and holds no NaN or infinity.
        still_groups: Videos in which a group does not change over time while others do, as :meth:`validate` found.

    Raises:
        UserError: If a file is no cache of this format, or its parts contradict each other; or if no file fits the
            pattern, the files do not belong together, or a video is in two of them.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from tpl_lightning.data import EmbeddingCacheWriter
        >>> with TemporaryDirectory() as folder:
        ...     with EmbeddingCacheWriter(
        ...         f"{folder}/mine.h5", dataset="mine", extractor="hog", source="", phase_names={}
        ...     ) as writer:
        ...         writer.append(video_id="a", action="jump", split="train", embeddings=np.ones((5, 3)))
        ...     cache = EmbeddingCache(f"{folder}/mine.h5")
        ...     shape = cache.read(0).shape
        >>> len(cache), cache.video_id.tolist(), shape
        (1, ['a'], (5, 3))
    """

    def __init__(self, path: str | Path) -> None:
        """Read and check the metadata."""
        files = find_files(str(path))
        self._serve(files[0] if len(files) == 1 else Path(path), [CacheFile(file) for file in files])

    def _serve(self, path: Path, parts: Sequence[CacheFile]) -> None:
        self.path, self._parts = path, parts
        check_alike(path, parts)
        first = parts[0]
        self.dataset, self.extractor, self.source = first.dataset, first.extractor, first.source
        self.feature_groups, self.num_channels = first.feature_groups, first.num_channels
        self.dtype = np.result_type(*[part.dtype for part in parts])
        self.phase_names = {action: names for part in parts for action, names in part.phase_names.items()}
        for part in parts:
            part.phase_names = self.phase_names  # a file need not name those of all actions
        self.has_labels, self.has_progress, self.has_frame_times = (
            any(name in part.has for part in parts) for name in ("labels", "progress", "frame_times")
        )
        self.video_id, self.action, self.split, self.lengths, self.fps, self.file_bytes = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("video_id", "action", "split", "lengths", "fps", "file_bytes")
        )
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self._first = np.cumsum([0, *(len(part.video_id) for part in parts)])  # video of each part
        self._picked: list[int] | None = None  # numbers of the stored feature groups that are served; None: all
        self._forget()

    def _forget(self) -> None:
        """Forget what was found out about the embeddings that are served."""
        self._fingerprint: str | None = None
        self.is_finite = np.zeros(len(self), dtype=bool)
        self.still_groups: dict[str, list[str]] = {}

    def choose(self, groups: Sequence[str] | None) -> "EmbeddingCache":
        """Return the cache with these feature groups alone, in this order; None: as it is.

        Raises:
            UserError: If there is no such group.
        """
        if groups is None or list(groups) == [group.name for group in self.feature_groups]:
            return self
        numbers, chosen = find_groups(self, groups), copy.copy(self)
        chosen._picked = [number if self._picked is None else self._picked[number] for number in numbers]
        chosen.feature_groups = [self.feature_groups[number] for number in numbers]
        chosen.num_channels = sum(group.channels for group in chosen.feature_groups)
        chosen.extractor = "+".join(group.name for group in chosen.feature_groups)
        chosen._forget()
        return chosen

    @property
    def files(self) -> list[Path]:
        """Return the files that it is made of."""
        return [part.path for part in self._parts]

    @property
    def name(self) -> str:
        """Return a short name that may be part of a file's."""
        return re.sub(r"[*?\[\]]+", "", self.path.stem).strip("-_. ") or self.path.parent.name or "cache"

    @property
    def is_procedural(self) -> bool:
        """Return whether the videos were rendered by the framework."""
        return self.source.startswith("procedural")

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.video_id)

    @property
    def served_dtype(self) -> np.dtype:
        """Return the type in which batches are read: half precision as it is stored, else float32."""
        return np.dtype(np.float16 if self.dtype == np.float16 else np.float32)

    def place(self, index: int) -> tuple[CacheFile, slice]:
        """Return the file that holds a video, and the video's rows there."""
        number = int(np.searchsorted(self._first, index, side="right")) - 1
        start = int(self.offsets[index] - self.offsets[self._first[number]])
        return self._parts[number], slice(start, start + int(self.lengths[index]))

    def _extents(self, indices: np.ndarray) -> Iterator[tuple[CacheFile, np.ndarray, np.ndarray, np.ndarray]]:
        """Yield each file that holds some of the videos (B,), and where these lie, three times (K,) rows.

        Where they begin in a batch of all B, one behind the other; where they begin in the file; how long they are.
        """
        lengths, numbers = self.lengths[indices], np.searchsorted(self._first, indices, side="right") - 1
        at, starts = np.cumsum(lengths) - lengths, self.offsets[indices] - self.offsets[self._first[numbers]]
        for number in np.unique(numbers).tolist():
            own = numbers == number
            yield self._parts[number], at[own], starts[own], lengths[own]

    def _fill(self, indices: np.ndarray, out: np.ndarray) -> None:
        """Fill ``out`` (F, C) with the embeddings of videos, one behind the other."""
        rows = out if self._picked is None else np.empty((len(out), self._parts[0].num_channels), out.dtype)
        for part, at, starts, lengths in self._extents(indices):
            try:
                part.read_extents(rows, at, starts, lengths)
            except DAMAGE as error:
                for index in indices.tolist() if len(indices) > 1 else ():
                    self._stored(index)  # says which
                raise part.unreadable(f"video {str(self.video_id[indices[0]])!r}: embeddings", error) from error
        if self._picked is not None:
            columns = split_columns(self._parts[0].feature_groups)
            np.concatenate([rows[:, columns[number]] for number in self._picked], axis=1, out=out)

    def read_batch(self, indices: np.ndarray, frames: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Read videos one behind the other, embeddings as they are stored.

        Args:
            indices: (B,) numbers of the videos, of F frames in all.
            frames: (F, C), contiguous and of :attr:`served_dtype`, to be filled.
            labels: (F,) int16, to be filled; -1 where unlabelled. None: not read.

        Raises:
            UserError: If a video cannot be read, or holds NaN or infinity; names it.
        """
        self._fill(indices, frames)
        if labels is not None:
            for part, *extents in self._extents(indices):
                known = part.column("labels")
                for at, start, length in zip(*(values.tolist() for values in extents), strict=True):
                    labels[at : at + length] = known[start : start + length]
        if self.is_finite[indices].all():
            return
        if not all_finite(frames):
            bad = next(index for index in indices.tolist() if not all_finite(self.read(index)))
            raise self.place(bad)[0].wrong(
                f"video {str(self.video_id[bad])!r}: embeddings hold NaN or infinity; make the cache anew "
                "(`tpl cache validate` reads all of it)"
            )
        self.is_finite[indices] = True

    def _stored(self, index: int) -> np.ndarray:
        """Return the embeddings (L_i, C) of a video as they are stored."""
        rows = np.empty((int(self.lengths[index]), self.num_channels), self.place(index)[0].dtype)
        self._fill(np.array([index]), rows)
        return rows

    def read(self, index: int) -> np.ndarray:
        """Return the embeddings (L_i, C) of a video, float32."""
        rows = self._stored(index)
        if rows.dtype == np.float16:
            import torch  # here, as `tpl cache info` answers without it

            return np.asarray(torch.from_numpy(rows).float().numpy())  # ten times as fast as NumPy's astype
        with np.errstate(over="ignore"):  # what overflows is infinite, which others look for
            return rows.astype(np.float32, copy=False)

    def _of_frames(self, name: str, index: int) -> np.ndarray:
        part, own = self.place(index)
        return part.column(name)[own]

    def labels(self, index: int) -> np.ndarray:
        """Return the phase of each frame (L_i,) int16, -1 where unlabelled.

        Raises:
            UserError: If they cannot be read, or one has no name.
        """
        return self._of_frames("labels", index)

    def progress(self, index: int) -> np.ndarray | None:
        """Return the true progress of each frame (L_i,) float32, None where unknown."""
        values = self._of_frames("progress", index)
        return None if np.isnan(values).all() else values

    def frame_times(self, index: int) -> np.ndarray | None:
        """Return the seconds from a video's first frame to each frame (L_i,) float64, None where unknown."""
        values = self._of_frames("frame_times", index)
        return None if np.isnan(values).all() else values

    def about(self, index: int) -> dict[str, Any]:
        """Return what :meth:`EmbeddingCacheWriter.append` takes of a video beside its embeddings."""
        of_video = {
            name: getattr(self, name)[index].item() for name in ("video_id", "action", "split", "fps", "file_bytes")
        }
        of_frames = {"labels": self.labels(index) if self.has_labels else None, "progress": self.progress(index)}
        return {**of_video, **of_frames, "frame_times": self.frame_times(index)}

    def extractor_state(self) -> State | None:
        """Return arrays and parameters stored by the extractor of the groups served, None if it stored none."""
        state = self._parts[0].extractor_state()
        if self._picked is None:
            return state
        parts = part_states(state, len(self._parts[0].feature_groups))
        return parts[self._picked[0]] if len(self._picked) == 1 else join_states([parts[i] for i in self._picked])

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with metadata, labels or (a sample of) the embeddings."""
        if self._fingerprint is None:
            digest = hashlib.sha256()
            texts = [self.dataset, self.extractor, self.source, json.dumps(self.phase_names, sort_keys=True)]
            texts += [json.dumps(self.feature_groups)] if len(self.feature_groups) > 1 else []
            digest.update("\0".join([*texts, *self.video_id, *self.action, *self.split]).encode())
            digest.update(self.offsets.tobytes())
            digest.update(self.fps.tobytes())
            for index in np.unique(np.linspace(0, len(self) - 1, 64).astype(int)).tolist():
                digest.update(self._stored(index).tobytes())
                digest.update(self.labels(index).tobytes())
            self._fingerprint = digest.hexdigest()[:16]
        return self._fingerprint

    def validate(self, most_frames: int | None = None) -> None:
        """Read everything and check the values; warn of videos whose embeddings do not change.

        Feature groups that do not change in a video while others do are noted in :attr:`still_groups`.

        Args:
            most_frames: Of larger caches only about so many are read, of videos evenly spread.

        Raises:
            UserError: For NaN or infinity, a bad frame rate, a label out of range, or falling progress or times; names
                the video.
        """
        self.still_groups = check_videos(self, most_frames)


def open_cache(path: str | Path, groups: Sequence[str] | None = None) -> EmbeddingCache:
    """Return the cache of a file, or of all files that a glob pattern names.

    Args:
        path: See :class:`EmbeddingCache`.
        groups: Names of the feature groups to read; None: all.

    Raises:
        UserError: As :class:`EmbeddingCache`; or if there is no such group.

    Example:
        >>> open_cache("parts/part-*.h5")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        tpl_lightning.errors.FileError: parts/part-*.h5: no embedding cache fits this pattern; ...
    """
    return EmbeddingCache(path).choose(groups)
