"""Writing of an embedding cache, video by video."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from tpl_lightning.data.cache.groups import FeatureGroup, State
from tpl_lightning.data.cache.layout import COLUMNS, FORMAT, SPLITS, VERSION, all_finite, value_faults, writable
from tpl_lightning.errors import UserError
from tpl_lightning.files import check_room, whole_file

_FRAME_BYTES, _VIDEO_BYTES = 14, 256  # of what is stored beside the embeddings


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
        """Take what is said of all videos; nothing is written yet."""
        if dtype not in ("float16", "float32"):
            raise UserError(f"{path}: expected dtype float16 or float32, but got {dtype!r}.")
        self.path, self.dtype, self.phase_names = Path(path), np.dtype(dtype), phase_names
        self.feature_groups = list(feature_groups or [])
        about = {"dataset": dataset, "extractor": extractor, "source": source}
        about["phase_names"] = json.dumps(phase_names, ensure_ascii=False)
        if len(self.feature_groups) > 1:
            about["feature_groups"] = json.dumps(self.feature_groups, ensure_ascii=False)
        self._about = {name: writable(text) for name, text in about.items()}
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS if name not in ("embeddings", "offsets")}
        self._state: State | None = None
        self._ids: set[str] = set()
        self._offsets, self._channels = [0], 0

    def __enter__(self) -> "EmbeddingCacheWriter":
        """Open the temporary files; return the writer."""
        with ExitStack() as stack:
            self._temporary = stack.enter_context(whole_file(self.path))
            check_room(self.path, 0)
            # Without a name: gone when the process is.
            self._spool = stack.enter_context(tempfile.TemporaryFile(dir=self.path.parent))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the file, or nothing after an error."""
        with self._stack:
            if kind is None:
                self._finish()

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
        of_video = {"video_id": video_id, "action": action, "split": split, "fps": fps, "file_bytes": file_bytes}
        of_frames = {"labels": labels, "progress": progress, "frame_times": frame_times}
        known = {name: np.asarray(values) for name, values in of_frames.items() if values is not None}
        for fault in self._faults(video_id, action, split, fps, embeddings, known):
            raise UserError(f"{self.path}: video {video_id!r}: {fault}; mend or leave out this video.")
        length, self._channels = embeddings.shape
        with np.errstate(over="ignore"):
            self._spool.write(np.ascontiguousarray(embeddings, dtype=self.dtype).data)
        self._offsets.append(self._offsets[-1] + length)
        for name, value in of_video.items():
            self._columns[name].append(value)
        for name in of_frames:
            column = COLUMNS[name]
            self._columns[name].append(known[name].astype(column.dtype) if name in known else column.filled(length))
        self._ids.add(video_id)

    def set_extractor_state(self, arrays: dict[str, np.ndarray], parameters: dict[str, Any]) -> None:
        """Store what is needed to embed new videos alike: arrays, and parameters that JSON can hold."""
        self._state = arrays, parameters

    def _faults(
        self,
        video_id: str,
        action: str,
        split: str,
        fps: float,
        embeddings: np.ndarray,
        known: Mapping[str, np.ndarray],
    ) -> Iterator[str]:
        """Yield what is wrong with a video; what comes later takes for granted that nothing came before."""
        if video_id in self._ids:
            yield "added before, expected each video_id once"
        for name in (video_id, action):
            if writable(name) != name:
                yield f"expected names of UTF-8 characters, but got {name!r}"
        if split not in SPLITS:
            yield f"expected a split out of {', '.join(SPLITS)}, but got {split!r}"
        if embeddings.ndim != 2 or len(embeddings) < 2 or embeddings.shape[1] < 1:
            yield f"expected embeddings (at least 2 frames, channels), but got {embeddings.shape}"
        if self._channels not in (0, embeddings.shape[1]):
            yield f"expected {self._channels} channels as before, but got {embeddings.shape[1]}"
        with np.errstate(over="ignore"):
            if not all_finite(embeddings.astype(self.dtype)):
                yield f"embeddings hold NaN, infinity, or values beyond {self.dtype}"
        for name, values in known.items():
            if values.shape != (len(embeddings),):
                yield f"expected {len(embeddings)} {name}, but got shape {values.shape}"
        if "labels" in known:
            labels = known["labels"]
            if labels.dtype.kind not in "iuf":
                yield f"expected labels to be whole numbers, but got {labels.dtype}"
            for odd in labels[labels != np.round(labels)]:
                yield f"expected labels to be whole numbers, but got {odd}"
        yield from value_faults(fps=fps, phases=len(self.phase_names.get(action, ())), **known)

    def _finish(self) -> None:
        if not self._ids:
            raise UserError(f"{self.path}: expected at least one video, but none was added.")
        named = sum(group.channels for group in self.feature_groups) if self.feature_groups else self._channels
        if named != self._channels:
            raise UserError(f"{self.path}: feature groups of {named} channels, but embeddings of {self._channels}.")
        self._spool.flush()
        rows = np.memmap(self._spool, self.dtype, "r", shape=(self._offsets[-1], self._channels))
        check_room(self.path, rows.nbytes + self._offsets[-1] * _FRAME_BYTES + len(self._ids) * _VIDEO_BYTES)
        file = h5py.File(self._temporary, "w")
        try:
            self._write(file, rows)
            file.close()
        except BaseException:
            with suppress(OSError, RuntimeError):
                os.truncate(self._temporary, 0)  # HDF5 still wants to write, for which a full disk must have room
                file.close()
            raise

    def _write(self, file: h5py.File, rows: np.ndarray) -> None:
        file.attrs.update({"format": FORMAT, "version": VERSION, **self._about})
        file.create_dataset("embeddings", data=rows)
        file.create_dataset("offsets", data=np.array(self._offsets, dtype=np.int64))
        for name, values in self._columns.items():
            column = COLUMNS[name]
            data = np.concatenate(values) if column.per == "frame" else np.array(values)
            if not column.is_optional or column.is_known(data):
                kind = h5py.string_dtype() if column.kinds == "text" else column.dtype
                file.create_dataset(name, data=values if column.kinds == "text" else data, dtype=kind)
        if self._state is not None:
            group, (arrays, parameters) = file.create_group("extractor_state"), self._state
            group.attrs["parameters"] = json.dumps(parameters)
            for name, array in arrays.items():
                group.create_dataset(name, data=array)
