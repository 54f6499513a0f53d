"""Writing of an embedding cache, video by video."""

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from tpl_lightning.data.cache.groups import FeatureGroup
from tpl_lightning.errors import UserError
from tpl_lightning.files import check_room, remove_left, temporary_name

__all__ = ["FORMAT", "SPLITS", "VERSION", "EmbeddingCacheWriter", "are_frame_times", "is_progress", "writable"]

FORMAT, VERSION = "tpl-embedding-cache", 1
SPLITS = ("train", "val", "test")
_COPIED = 2**24  # bytes that are copied at a time
_FRAME_BYTES, _VIDEO_BYTES = 14, 256  # of what is stored beside the embeddings


def are_frame_times(times: np.ndarray) -> bool:
    """Return whether seconds from a video's first frame are finite, not negative, and never fall."""
    return bool(np.isfinite(times).all() and times[0] >= 0 and (np.diff(times) >= 0).all())


def is_progress(values: np.ndarray) -> bool:
    """Tell whether values are true progress: in [0, 1], never falling; NaN before and behind the action only."""
    known = np.flatnonzero(~np.isnan(values))
    acting = values[known[0] : known[-1] + 1] if len(known) else values[:0]
    # A comparison with NaN is false, so it may not be in between.
    return len(acting) > 0 and bool((np.diff(acting) >= 0).all() and acting[0] >= 0 and acting[-1] <= 1)


class EmbeddingCacheWriter:
    """Write a cache video by video; the file appears under its name once all is well.

    Use as a context manager. Everything goes to temporary files beside the target. On a clean exit they become one,
    which replaces it; on an error they are deleted, so that an older cache stays whole. Rows are spooled to a file of
    their own and copied once: how many there are is known at the end, and a contiguous dataset is read fastest.

    Args:
        path: File to write.
        dataset: Name of the data set.
        extractor: Name of what made the embeddings.
        source: Where the videos came from.
        phase_names: Names of each action's phases in order; empty without labels.
        dtype: ``float16`` or ``float32`` on disk.
        feature_groups: Name and channels of what different extractors made, side by side; None: one group.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with EmbeddingCacheWriter(
        ...         f"{folder}/mine.h5", dataset="mine", extractor="hog", source="", phase_names={"jump": ["up", "on"]}
        ...     ) as writer:
        ...         writer.append(
        ...             video_id="a", action="jump", split="train", embeddings=np.ones((2, 3)), labels=np.array([0, 1])
        ...         )
        ...     Path(f"{folder}/mine.h5").is_file()
        True
    """

    def __init__(
        self,
        path: str | Path,
        *,
        dataset: str,
        extractor: str,
        source: str,
        phase_names: dict[str, list[str]],
        dtype: str = "float16",
        feature_groups: Sequence[FeatureGroup] | None = None,
    ) -> None:
        """Open the temporary files."""
        if dtype not in ("float16", "float32"):
            raise UserError(f"{path}: expected dtype float16 or float32, but got {dtype!r}.")
        self.path, self.dtype = Path(path), np.dtype(dtype)
        self.feature_groups = feature_groups or []
        self.phase_names = {action: list(names) for action, names in phase_names.items()}
        self._temporary = temporary_name(self.path)
        self._ids: dict[str, None] = {}
        self._rows: list[tuple[str, str, float]] = []
        self._file_bytes: list[int] = []
        self._offsets = [0]
        self._labels: list[np.ndarray] = []
        self._progress: list[np.ndarray] = []
        self._frame_times: list[np.ndarray] = []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        remove_left(self.path.parent)
        self._channels: int | None = None
        check_room(self.path, 0)
        # Without a name: gone when the process is.
        self._spool = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115
        self._file = h5py.File(self._temporary, "w")
        about = {"dataset": dataset, "extractor": extractor, "source": source}
        about["phase_names"] = json.dumps(self.phase_names, ensure_ascii=False)
        if len(self.feature_groups) > 1:
            about["feature_groups"] = json.dumps(self.feature_groups, ensure_ascii=False)
        self._file.attrs.update({"format": FORMAT, "version": VERSION})
        self._file.attrs.update({name: writable(text) for name, text in about.items()})

    def __enter__(self) -> "EmbeddingCacheWriter":
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file, or throw it away after an error."""
        try:
            if kind is None:
                self._finish()
        except BaseException:
            self._discard()
            raise
        if kind is not None:
            self._discard()

    def append(
        self,
        *,
        video_id: str,
        action: str,
        split: str,
        embeddings: np.ndarray,
        labels: np.ndarray | None = None,
        fps: float = 24.0,
        progress: np.ndarray | None = None,
        frame_times: np.ndarray | None = None,
        file_bytes: int = 0,
    ) -> None:
        """Add a video.

        Args:
            video_id: Its name, once in the cache.
            action: What it shows.
            split: ``train``, ``val`` or ``test``.
            embeddings: (L, C), at least 2 frames, finite.
            labels: (L,) phase of each frame, -1 unlabelled; None: all unlabelled.
            fps: Frames per second, above 0 and finite.
            progress: (L,) true progress in [0, 1], never falling, NaN before and behind the action; None: unknown.
            frame_times: (L,) seconds from the video's first frame, never falling; None: frames come evenly at ``fps``.
            file_bytes: Size of the video file, 0: unknown.

        Raises:
            UserError: If something does not fit; names the video.
        """
        embeddings = np.asarray(embeddings)
        self._check_rate_and_labels(video_id, fps, labels)
        self._check(video_id, action, split, embeddings, labels, progress)
        self._check_times(video_id, len(embeddings), frame_times)
        with np.errstate(over="ignore"):
            stored = embeddings.astype(self.dtype)
        if not np.isfinite(stored).all():
            raise self._wrong(video_id, f"embeddings hold NaN, infinity, or values beyond {self.dtype}")
        length, self._channels = stored.shape
        self._spool.write(np.ascontiguousarray(stored).data)
        self._offsets.append(self._offsets[-1] + length)
        self._ids[video_id] = None
        self._rows.append((action, split, float(fps)))
        self._file_bytes.append(file_bytes)
        self._labels.append(np.full(length, -1, np.int16) if labels is None else np.asarray(labels).astype(np.int16))
        known = np.full(length, np.nan, np.float32) if progress is None else np.asarray(progress, np.float32)
        self._progress.append(known)
        self._frame_times.append(
            np.full(length, np.nan) if frame_times is None else np.asarray(frame_times, dtype=np.float64)
        )

    def set_extractor_state(self, arrays: dict[str, np.ndarray], parameters: dict[str, Any]) -> None:
        """Store what is needed to embed new videos alike: arrays, and parameters that JSON can hold."""
        group = self._file.create_group("extractor_state")
        for name, values in arrays.items():
            group.create_dataset(name, data=values)
        group.attrs["parameters"] = json.dumps(parameters)

    def _wrong(self, video_id: str, found: str) -> UserError:
        return UserError(f"{self.path}: video {video_id!r}: {found}; mend or leave out this video.")

    def _check(
        self,
        video_id: str,
        action: str,
        split: str,
        embeddings: np.ndarray,
        labels: np.ndarray | None,
        progress: np.ndarray | None,
    ) -> None:
        if video_id in self._ids:
            raise self._wrong(video_id, "added before, expected each video_id once")
        for name in (video_id, action):
            if writable(name) != name:
                raise self._wrong(video_id, f"expected names of UTF-8 characters, but got {name!r}")
        if split not in SPLITS:
            raise self._wrong(video_id, f"expected a split out of {', '.join(SPLITS)}, but got {split!r}")
        if embeddings.ndim != 2 or len(embeddings) < 2 or embeddings.shape[1] < 1:
            raise self._wrong(
                video_id, f"expected embeddings (at least 2 frames, channels), but got {embeddings.shape}"
            )
        if self._channels not in (None, embeddings.shape[1]):
            raise self._wrong(video_id, f"expected {self._channels} channels as before, but got {embeddings.shape[1]}")
        for name, values in (("labels", labels), ("progress", progress)):
            if values is not None and np.shape(values) != (len(embeddings),):
                raise self._wrong(video_id, f"expected {len(embeddings)} {name}, but got shape {np.shape(values)}")
        phases = min(len(self.phase_names.get(action, ())), np.iinfo(np.int16).max + 1)
        if labels is not None and (np.min(labels) < -1 or np.max(labels) >= phases):
            found = f"labels {np.min(labels)}..{np.max(labels)}"
            raise self._wrong(video_id, f"expected labels -1..{phases - 1} ({phases} phases named), but got {found}")
        if progress is not None and not is_progress(np.asarray(progress)):
            raise self._wrong(video_id, "expected progress in [0, 1] that never falls")

    def _check_times(self, video_id: str, length: int, frame_times: np.ndarray | None) -> None:
        if frame_times is None:
            return
        if np.shape(frame_times) != (length,):
            raise self._wrong(video_id, f"expected {length} frame_times, but got shape {np.shape(frame_times)}")
        if not are_frame_times(np.asarray(frame_times)):
            raise self._wrong(video_id, "expected frame_times of at least 0 that never fall")

    def _check_rate_and_labels(self, video_id: str, fps: float, labels: np.ndarray | None) -> None:
        if not 0 < fps < float("inf"):
            raise self._wrong(video_id, f"expected frames per second above 0, but got {fps}")
        if labels is None:
            return
        values = np.asarray(labels)
        if values.dtype.kind not in "iuf":
            raise self._wrong(video_id, f"expected labels to be whole numbers, but got {values.dtype}")
        odd = values[values != np.round(values)]
        if odd.size:
            raise self._wrong(video_id, f"expected labels to be whole numbers, but got {odd[0]}")

    def _finish(self) -> None:
        if not self._rows:
            raise UserError(f"{self.path}: expected at least one video, but none was added.")
        named = sum(group.channels for group in self.feature_groups) if self.feature_groups else self._channels
        if named != self._channels:
            raise UserError(f"{self.path}: feature groups of {named} channels, but embeddings of {self._channels}.")
        file, text = self._file, h5py.string_dtype()
        self._spool.flush()
        check_room(self.path, self._spool.tell() + self._offsets[-1] * _FRAME_BYTES + len(self._rows) * _VIDEO_BYTES)
        self._copy_rows()
        file.create_dataset("offsets", data=np.array(self._offsets, dtype=np.int64))
        columns = {
            "video_id": list(self._ids),
            "action": [r[0] for r in self._rows],
            "split": [r[1] for r in self._rows],
        }
        for name, values in columns.items():
            file.create_dataset(name, data=values, dtype=text)
        file.create_dataset("fps", data=np.array([r[2] for r in self._rows], dtype=np.float32))
        if any(self._file_bytes):
            file.create_dataset("file_bytes", data=np.array(self._file_bytes, dtype=np.int64))
        labels, progress = np.concatenate(self._labels), np.concatenate(self._progress)
        if (labels >= 0).any():
            file.create_dataset("labels", data=labels)
        if not np.isnan(progress).all():
            file.create_dataset("progress", data=progress)
        frame_times = np.concatenate(self._frame_times)
        if not np.isnan(frame_times).all():
            file.create_dataset("frame_times", data=frame_times)
        file.flush()
        file.close()
        with self._temporary.open("rb") as written:
            os.fsync(written.fileno())
        self._temporary.replace(self.path)

    def _copy_rows(self) -> None:
        assert self._channels is not None
        rows = self._file.create_dataset("embeddings", (self._offsets[-1], self._channels), self.dtype)
        self._spool.seek(0)
        step = max(_COPIED // (self._channels * self.dtype.itemsize), 1)
        for start in range(0, len(rows), step):
            count = min(step, len(rows) - start)
            values = np.fromfile(self._spool, self.dtype, count * self._channels)
            rows[start : start + count] = values.reshape(count, self._channels)
        self._spool.close()

    def _discard(self) -> None:
        # On a full disk HDF5 must find room for what it still wants to write, or it complains as long as it lives.
        for leave in (self._spool.close, lambda: os.truncate(self._temporary, 0), self._file.close):
            with suppress(OSError, RuntimeError):
                leave()
        self._temporary.unlink(missing_ok=True)


def writable(text: str) -> str:
    """Return text as HDF5 can hold it: UTF-8 without bytes that were none, and without zeros."""
    return text.encode(errors="replace").decode().replace("\0", "?")
