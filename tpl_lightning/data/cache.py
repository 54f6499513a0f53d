"""The embedding cache: one HDF5 file of per-frame embeddings, and its reader.

Format "tpl-embedding-cache" version 1; data/README.md lists its datasets. The writer is in cache_writer.py.
"""

import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tpl_lightning.data.cache_writer import FORMAT, SPLITS, VERSION, EmbeddingCacheWriter, are_frame_times
from tpl_lightning.data.row_reader import RowReader
from tpl_lightning.errors import UserError

__all__ = ["FORMAT", "SPLITS", "VERSION", "EmbeddingCache", "EmbeddingCacheWriter"]

_TEXT = ("video_id", "action", "split")
_NEEDED = ("embeddings", "offsets", *_TEXT)
_LAYOUT = {  # dataset: dimensions, numpy kinds
    "embeddings": (2, "f"),
    "offsets": (1, "iu"),
    "labels": (1, "iu"),
    "fps": (1, "fiu"),
    "file_bytes": (1, "iu"),
    "progress": (1, "f"),
    "frame_times": (1, "f"),
    **dict.fromkeys(_TEXT, (1, "text")),
}
# What h5py raises where bytes of a file were lost or changed. UserError is a ValueError; let it through first.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError)


class EmbeddingCache:
    """Reader of an embedding cache: metadata in memory, embeddings read video by video.

    The file is opened by each process on its first read (HDF5 handles survive neither fork nor pickling).

    Args:
        path: The cache file.

    Attributes:
        video_id, action, split: (N,) strings.
        offsets: (N + 1,) int64, first row of each video.
        lengths: (N,) int64, frames of each video.
        fps: (N,) float32.
        file_bytes: (N,) int64, size of each video's file, 0 where unknown.
        phase_names: Names of each action's phases in order.

    Raises:
        UserError: If the file is no cache of this format, or its parts contradict each other.
    """

    _fingerprint: str | None = None  # known from an earlier call

    def __init__(self, path: str | Path) -> None:
        """Read and check the metadata."""
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._reader: RowReader | None = None
        self._labels: np.ndarray | None = None
        self._pid = -1
        if not self.path.is_file():
            raise UserError(f"{self.path}: no such embedding cache; give an existing file with data.cache=PATH.")
        try:
            with h5py.File(self.path, "r") as file:
                self._read_metadata(file)
        except UserError:
            raise
        except _DAMAGE as error:
            raise UserError(
                f"{self.path}: not a readable HDF5 file ({_first_line(error)}); copy or make it anew."
            ) from error

    def _wrong(self, found: str) -> UserError:
        return UserError(f"{self.path}: {found}; make the cache anew (data/README.md describes the format).")

    def _read_metadata(self, file: h5py.File) -> None:
        attributes = dict(file.attrs)
        kind, version = _text(attributes.get("format")), _text(attributes.get("version"))
        if kind != FORMAT or version != str(VERSION):
            found = f"format {kind!r} version {version or 'none'}"
            raise self._wrong(f"expected format {FORMAT!r} version {VERSION}, but found {found}")
        self._check_layout(file)
        self.dataset, self.extractor = _text(attributes.get("dataset")), _text(attributes.get("extractor"))
        self.source = _text(attributes.get("source"))
        try:
            names = json.loads(_text(attributes.get("phase_names")) or "{}")
        except ValueError:
            names = None
        if not isinstance(names, dict) or not all(isinstance(phases, list) for phases in names.values()):
            raise self._wrong("attribute 'phase_names' is no JSON object of lists")
        self.phase_names: dict[str, list[str]] = {a: [str(n) for n in phases] for a, phases in names.items()}
        self.video_id, self.action, self.split = (self._strings(file[name]) for name in _TEXT)
        self.offsets = file["offsets"][:].astype(np.int64)
        self.lengths = np.diff(self.offsets)
        self._is_finite = np.zeros(len(self.lengths), dtype=bool)  # known from an earlier read
        count = len(self.video_id)
        self.fps = file["fps"][:].astype(np.float32) if "fps" in file else np.full(count, 24.0, np.float32)
        self.file_bytes = file["file_bytes"][:].astype(np.int64) if "file_bytes" in file else np.zeros(count, np.int64)
        embeddings = file["embeddings"]
        self.dtype = embeddings.dtype
        self.has_labels, self.has_progress = "labels" in file, "progress" in file
        self.has_frame_times = "frame_times" in file
        self.num_channels = int(embeddings.shape[1])
        self._check_structure(file, len(embeddings), count)

    def _check_layout(self, file: h5py.File) -> None:
        for name, (dimensions, kinds) in _LAYOUT.items():
            if name not in file:
                if name in _NEEDED:
                    raise self._wrong(f"dataset {name!r} is missing")
                continue
            found, what = (
                file[name],
                {"f": "floats", "text": "strings"}.get(kinds, "numbers" if "f" in kinds else "integers"),
            )
            expected = f"expected {name!r} to be {what} in {dimensions} dimension{'s' * (dimensions > 1)}"
            if not isinstance(found, h5py.Dataset):
                raise self._wrong(f"{expected}, but found a group")
            is_text = h5py.check_string_dtype(found.dtype) is not None
            if found.ndim != dimensions or not (is_text if kinds == "text" else found.dtype.kind in kinds):
                raise self._wrong(
                    f"{expected}, but found shape {found.shape} of {'strings' if is_text else found.dtype}"
                )

    def _strings(self, dataset: h5py.Dataset) -> np.ndarray:
        try:
            # Named, as fixed-length strings are often stored as UTF-8 under the name of ASCII.
            return dataset.asstr("utf-8")[:].astype(str)
        except UnicodeDecodeError as error:
            raise self._wrong(f"dataset {dataset.name.lstrip('/')!r} is no UTF-8 text") from error

    def _check_structure(self, file: h5py.File, frames: int, count: int) -> None:
        if count == 0 or self.num_channels == 0:
            raise self._wrong("no videos in it" if count == 0 else "embeddings without channels")
        for name, size in (
            ("action", count),
            ("split", count),
            ("fps", count),
            ("file_bytes", count),
            ("offsets", count + 1),
        ):
            if name in file and len(file[name]) != size:
                raise self._wrong(f"expected {size} values in {name!r}, but found {len(file[name])}")
        for name in ("labels", "progress", "frame_times"):
            if name in file and file[name].shape != (frames,):
                raise self._wrong(f"expected {name!r} of shape ({frames},), but found {file[name].shape}")
        if self.offsets[0] != 0 or self.offsets[-1] != frames:
            raise self._wrong(f"offsets run from {self.offsets[0]} to {self.offsets[-1]}, expected 0 to {frames}")
        short = np.flatnonzero(self.lengths < 2)
        if len(short):
            found = f"video {str(self.video_id[short[0]])!r} has {self.lengths[short[0]]} frames"
            raise self._wrong(f"{found} by its offsets, expected at least 2")
        bad = np.flatnonzero(~np.isin(self.split, SPLITS))
        if len(bad):
            found = f"video {str(self.video_id[bad[0]])!r} is in split {str(self.split[bad[0]])!r}"
            raise self._wrong(f"{found}, expected one of {', '.join(SPLITS)}")
        names, counts = np.unique(self.video_id, return_counts=True)
        if (counts > 1).any():
            raise self._wrong(f"video_id {str(names[counts > 1][0])!r} occurs {counts.max()} times, expected once")

    @property
    def files(self) -> list[Path]:
        """Return the files that it is made of."""
        return [self.path]

    @property
    def name(self) -> str:
        """Return a short name that may be part of a file's."""
        return re.sub(r"[*?\[\]]+", "", self.path.stem).strip("-_. ") or self.path.parent.name or "cache"

    def _holder(self, index: int) -> "EmbeddingCache":
        """Return the cache whose file holds a video."""
        return self

    @property
    def is_procedural(self) -> bool:
        """Return whether the videos were rendered by the framework."""
        return self.source.startswith("procedural")

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.video_id)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the handle behind: each process opens its own."""
        return {**self.__dict__, "_file": None, "_reader": None, "_labels": None, "_pid": -1}

    @property
    def _handle(self) -> h5py.File:
        if self._file is None or self._pid != os.getpid():
            self._file, self._reader, self._pid = h5py.File(self.path, "r"), None, os.getpid()
        return self._file

    @property
    def _embeddings(self) -> RowReader:
        handle = self._handle
        if self._reader is None:
            self._reader = RowReader(self.path, handle["embeddings"])
        return self._reader

    def _rows(self, index: int) -> np.ndarray:
        """Return the embeddings (L_i, C) of a video as they are stored."""
        try:
            reader = self._embeddings
            rows = np.empty((self.lengths[index], *reader.row_shape), reader.dtype)
            reader.read_into(rows, int(self.offsets[index]))
        except _DAMAGE as error:
            found = f"video {str(self.video_id[index])!r}: embeddings cannot be read ({_first_line(error)})"
            raise self._wrong(found) from error
        return rows

    def _labels_of_all(self) -> np.ndarray:
        """Return the labels of all frames: read at once and kept, since a byte or two at a time takes the disk long."""
        if self._labels is None:
            try:
                values = self._handle["labels"][:]
            except _DAMAGE as error:
                raise self._wrong(f"labels cannot be read ({_first_line(error)})") from error
            self._labels = values.astype(np.int16, copy=False)
            self._labels.flags.writeable = False  # parts of it are handed out
        return self._labels

    @property
    def served_dtype(self) -> np.dtype:
        """Return the type in which batches are read: half precision as it is stored, else float32."""
        return np.dtype(np.float16 if self.dtype == np.float16 else np.float32)

    def announce(self, indices: np.ndarray) -> None:
        """Tell the system that these videos will be read soon; after it, several threads may read them at a time."""
        with suppress(*_DAMAGE):  # reading says what is wrong
            self._embeddings.announce(self.offsets[indices], self.lengths[indices])

    def read_batch(self, indices: np.ndarray, frames: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Read videos one behind the other, embeddings as they are stored.

        Args:
            indices: (B,) numbers of the videos, of F frames in all.
            frames: (F, C), contiguous and of :attr:`served_dtype`, to be filled.
            labels: (F,) int16, to be filled; -1 where unlabelled. None: not read.

        Raises:
            UserError: If a video cannot be read, or holds NaN or infinity; names it.
        """
        ends = np.cumsum(self.lengths[indices])
        self._read_into(indices, frames, labels, ends - self.lengths[indices])
        if self._is_finite[indices].all():
            return
        if not _all_finite(frames):
            videos = np.split(frames, ends[:-1])
            bad = next(i for i, video in zip(indices.tolist(), videos, strict=True) if not _all_finite(video))
            raise self._holder(bad)._wrong(
                f"video {str(self.video_id[bad])!r}: embeddings hold NaN or infinity; make the cache anew "
                "(`tpl cache validate` reads all of it)"
            )
        self._is_finite[indices] = True

    def _read_into(self, indices: np.ndarray, frames: np.ndarray, labels: np.ndarray | None, at: np.ndarray) -> None:
        """Read videos, each to the row ``at`` (K,) of a batch and those that follow."""
        starts, lengths = self.offsets[indices], self.lengths[indices]
        if not self._read_as_stored(frames, at, starts, lengths):
            for index, first, length in zip(indices.tolist(), at.tolist(), lengths.tolist(), strict=True):
                frames[first : first + length] = self._rows(index)
        if labels is None:
            return
        known = self._labels_of_all() if self.has_labels else None
        for first, start, length in zip(at.tolist(), starts.tolist(), lengths.tolist(), strict=True):
            labels[first : first + length] = -1 if known is None else known[start : start + length]

    def _read_as_stored(self, frames: np.ndarray, at: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> bool:
        """Read videos all at once, if possible; what is wrong is said where each is read on its own."""
        with suppress(*_DAMAGE):
            if self._embeddings.dtype == frames.dtype:
                self._embeddings.read_packed(frames, at, starts, lengths)
                return True
        return False

    def read(self, index: int) -> np.ndarray:
        """Return the embeddings (L_i, C) of a video, float32."""
        rows = self._rows(index)
        return _from_half(rows) if rows.dtype == np.float16 else rows.astype(np.float32, copy=False)

    def labels(self, index: int) -> np.ndarray:
        """Return the phase of each frame (L_i,) int16, -1 where unlabelled."""
        if not self.has_labels:
            return np.full(self.lengths[index], -1, dtype=np.int16)
        return self._labels_of_all()[self.offsets[index] : self.offsets[index + 1]]

    def progress(self, index: int) -> np.ndarray | None:
        """Return the true progress of each frame (L_i,) float32, None where unknown."""
        return self._known("progress", index, np.float32) if self.has_progress else None

    def frame_times(self, index: int) -> np.ndarray | None:
        """Return the seconds from a video's first frame to each frame (L_i,) float64, None where unknown."""
        return self._known("frame_times", index, np.float64) if self.has_frame_times else None

    def _known(self, name: str, index: int, dtype: type) -> np.ndarray | None:
        """Return the values (L_i,) of a video, None where all are NaN."""
        try:
            values = self._handle[name][self.offsets[index] : self.offsets[index + 1]].astype(dtype)
        except _DAMAGE as error:
            raise self._wrong(f"{name} cannot be read ({_first_line(error)})") from error
        return None if np.isnan(values).all() else values

    def extractor_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """Return arrays and parameters stored by the extractor, None if it stored none."""
        try:
            if "extractor_state" not in self._handle:
                return None
            group = self._handle["extractor_state"]
            return {name: group[name][()] for name in group}, json.loads(_text(group.attrs["parameters"]))
        except _DAMAGE as error:
            raise self._wrong(f"group 'extractor_state' cannot be read ({_first_line(error)})") from error

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with metadata, labels or (a sample of) the embeddings."""
        if self._fingerprint is None:
            self._fingerprint = self._hashed()
        return self._fingerprint

    def _hashed(self) -> str:
        digest = hashlib.sha256()
        texts = [self.dataset, self.extractor, self.source, json.dumps(self.phase_names, sort_keys=True)]
        digest.update("\0".join([*texts, *self.video_id, *self.action, *self.split]).encode())
        digest.update(self.offsets.tobytes())
        digest.update(self.fps.tobytes())
        for index in np.unique(np.linspace(0, len(self) - 1, 64).astype(int)):
            digest.update(self._rows(index).tobytes())
            digest.update(self.labels(index).tobytes())
        return digest.hexdigest()[:16]

    def validate(self, most_frames: int | None = None) -> None:
        """Read everything and check the values.

        Args:
            most_frames: Of larger caches only about so many are read, of videos evenly spread.

        Raises:
            UserError: For NaN or infinity, a bad frame rate, a label out of range, or falling progress or times; names
                the video.
        """
        total = int(self.offsets[-1])
        count = len(self) if most_frames is None or total <= most_frames else max(len(self) * most_frames // total, 1)
        for index in np.linspace(0, len(self) - 1, count).round().astype(int).tolist():
            video = str(self.video_id[index])
            values = self._rows(index)
            if not np.isfinite(values).all():
                frame = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
                raise self._wrong(f"video {video!r}, frame {frame}: embeddings hold NaN or infinity")
            if not 0 < self.fps[index] < np.inf:
                raise self._wrong(f"video {video!r}: expected frames per second above 0, but found {self.fps[index]}")
            labels = self.labels(index)
            action = self.action[index]
            phases = len(self.phase_names.get(action, ()))
            if labels.min() < -1 or (labels.max() >= phases):
                bad = labels[(labels < -1) | (labels >= phases)][0]
                known = f"{phases} phases named for action {str(action)!r}"
                raise self._wrong(f"video {video!r}: label {bad}, expected -1..{phases - 1} ({known})")
            progress = self.progress(index)
            if progress is not None and not (
                np.isfinite(progress).all() and (np.diff(progress) >= 0).all() and 0 <= progress[0] <= progress[-1] <= 1
            ):
                raise self._wrong(f"video {video!r}: progress must not fall, nor leave [0, 1]")
            times = self.frame_times(index)
            if times is not None and not are_frame_times(times):
                raise self._wrong(f"video {video!r}: frame_times must be 0 or more, and never fall")


_INFINITY = {2: (np.int16, np.uint16, 0x7C00), 4: (np.int32, np.uint32, 0x7F800000)}


def _all_finite(values: np.ndarray) -> bool:
    """Return whether half or single precision holds no NaN or infinity; a fraction of the time of np.isfinite.

    As integers, numbers of one sign are in order, infinity and NaN behind all others.
    """
    signed, unsigned, infinity = _INFINITY[values.dtype.itemsize]
    minus = infinity | 1 << 8 * values.dtype.itemsize - 1
    return bool(values.view(signed).max(initial=0) < infinity and values.view(unsigned).max(initial=0) < minus)


def _from_half(values: np.ndarray) -> np.ndarray:
    import torch  # here, as `tpl cache info` answers without it

    return torch.from_numpy(values).float().numpy()  # ten times as fast as NumPy's astype


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else "" if value is None else str(value)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
