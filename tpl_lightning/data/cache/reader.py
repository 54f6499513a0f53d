"""The embedding cache: one HDF5 file of per-frame embeddings, and its reader.

Format "tpl-embedding-cache" version 1; data/README.md lists its datasets. The writer is in cache_writer.py.
"""

import copy
import errno
import hashlib
import json
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tpl_lightning.data.cache.groups import (
    State,
    find_groups,
    join_states,
    part_states,
    read_groups,
    split_columns,
)
from tpl_lightning.data.cache.parts import check_parts
from tpl_lightning.data.cache.rows import RowReader
from tpl_lightning.data.cache.writer import (
    FORMAT,
    SPLITS,
    VERSION,
    EmbeddingCacheWriter,
    are_frame_times,
    is_progress,
    writable,
)
from tpl_lightning.errors import FileError, UserError, first_line, plain_warnings
from tpl_lightning.files import writer_of

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
        feature_groups: Name and channels of what different extractors made, side by side.
        still_groups: Videos in which a group does not change over time while others do, as :meth:`validate` found.

    Raises:
        UserError: If the file is no cache of this format, or its parts contradict each other.

    Example:
        >>> from tempfile import TemporaryDirectory
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

    _fingerprint: str | None = None  # known from an earlier call
    _picked: list[int] | None = None  # numbers of the file's feature groups that are served; None: all

    def __init__(self, path: str | Path) -> None:
        """Read and check the metadata."""
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._reader: RowReader | None = None
        self._labels: np.ndarray | None = None
        self._columns: dict[str, np.ndarray] = {}  # what is known of each frame, read once
        self._pid = -1
        self.still_groups: dict[str, list[str]] = {}
        if not self.path.is_file():
            raise FileError(f"{self.path}: no such embedding cache; give an existing file with data.cache=PATH.")
        try:
            with h5py.File(self.path, "r") as file:
                self._read_metadata(file)
        except UserError:
            raise
        except BlockingIOError as error:
            raise UserError(
                f"{self.path}: it is being written by {writer_of(self.path)}; wait for its end, or set "
                "HDF5_USE_FILE_LOCKING=FALSE if nobody writes it (network file systems may keep old locks)."
            ) from error
        except _DAMAGE as error:
            raise FileError(
                f"{self.path}: not a readable HDF5 file ({first_line(error)}); copy or make it anew."
            ) from error

    def _wrong(self, found: str) -> UserError:
        return UserError(f"{self.path}: {found}; make the cache anew (data/README.md describes the format).")

    def _unreadable(self, what: str, error: Exception) -> UserError:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return UserError(
                f"{self.path}: cannot be opened ({first_line(error)}); let this process open more, with `ulimit -n`."
            )
        return self._wrong(f"{what} cannot be read ({first_line(error)})")

    def _read_metadata(self, file: h5py.File) -> None:
        attributes = dict(file.attrs)
        kind, version = _text(attributes.get("format")), _text(attributes.get("version"))
        if kind != FORMAT or version not in (str(VERSION), f"{VERSION}.0"):  # MATLAB's numbers are floats
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
        self.phase_names: dict[str, list[str]] = {_text(a): [_text(n) for n in phases] for a, phases in names.items()}
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
        try:
            text = _text(attributes.get("feature_groups"))
            self.feature_groups = self._stored_groups = read_groups(text, self.extractor, self.num_channels)
        except ValueError as error:
            raise self._wrong(str(error)) from None

    def _check_layout(self, file: h5py.File) -> None:
        for name, (dimensions, kinds) in _LAYOUT.items():
            found = self._dataset(file, name)
            if found is None:
                continue
            what = {"f": "floats", "text": "strings"}.get(kinds, "numbers" if "f" in kinds else "integers")
            expected = f"expected {name!r} to be {what} in {dimensions} dimension{'s' * (dimensions > 1)}"
            if not isinstance(found, h5py.Dataset):
                raise self._wrong(f"{expected}, but found a group")
            is_text = h5py.check_string_dtype(found.dtype) is not None
            if found.ndim != dimensions or not (is_text if kinds == "text" else found.dtype.kind in kinds):
                raise self._wrong(
                    f"{expected}, but found shape {found.shape} of {'strings' if is_text else found.dtype}"
                )
            missing = check_parts(found)
            if missing is not None:
                raise self._wrong(f"dataset {name!r} is not whole: {missing}")

    def _dataset(self, file: h5py.File, name: str) -> h5py.Dataset | h5py.Group | None:
        if name not in file:
            if name in _NEEDED:
                raise self._wrong(f"dataset {name!r} is missing")
            return None
        try:
            return file[name]
        except KeyError:
            link = file.get(name, getlink=True)
            if not isinstance(link, (h5py.SoftLink, h5py.ExternalLink)):
                raise
            target = f"{link.filename}:{link.path}" if isinstance(link, h5py.ExternalLink) else link.path
            raise self._wrong(f"dataset {name!r} is a link to {target}, which is not there") from None

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

    def choose(self, groups: Sequence[str] | None) -> "EmbeddingCache":
        """Return the cache with these feature groups alone, in this order; None: as it is.

        Raises:
            UserError: If there is no such group.
        """
        if groups is None or list(groups) == [group.name for group in self.feature_groups]:
            return self
        numbers = find_groups(self, groups)
        chosen = copy.copy(self)
        chosen.__dict__.update(self.__getstate__())
        chosen._fingerprint, chosen._is_finite, chosen.still_groups = None, np.zeros(len(self), dtype=bool), {}
        chosen._picked = [number if self._picked is None else self._picked[number] for number in numbers]
        chosen.feature_groups = [self.feature_groups[number] for number in numbers]
        chosen.num_channels = sum(group.channels for group in chosen.feature_groups)
        chosen.extractor = "+".join(group.name for group in chosen.feature_groups)
        return chosen

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
        return {**self.__dict__, "_file": None, "_reader": None, "_labels": None, "_columns": {}, "_pid": -1}

    @property
    def _embeddings(self) -> RowReader:
        if self._reader is None or self._pid != os.getpid():
            file = h5py.File(self.path, "r")
            self._reader, self._file, self._pid = RowReader(file["embeddings"]), file, os.getpid()
            if self._reader.is_plain:  # one descriptor for each of many shards
                file.close()
        return self._reader

    def _rows(self, index: int) -> np.ndarray:
        """Return the embeddings (L_i, C) of a video as they are stored."""
        rows = np.empty((self.lengths[index], self.num_channels), self.dtype)
        self._read_into(np.array([index]), rows, None, np.zeros(1, dtype=np.int64))
        return rows

    def _labels_of_all(self) -> np.ndarray:
        """Return the labels of all frames: read at once and kept, since a byte or two at a time takes the disk long."""
        if self._labels is None:
            try:
                with h5py.File(self.path, "r") as file:
                    values = file["labels"][:]
            except _DAMAGE as error:
                raise self._unreadable("labels", error) from error
            if values.size and (values.min() < -1 or values.max() > np.iinfo(np.int16).max):  # before it is narrowed
                frame = int(np.flatnonzero((values < -1) | (values > np.iinfo(np.int16).max))[0])
                index = int(np.searchsorted(self.offsets, frame, side="right")) - 1
                raise self._wrong_label(index, int(values[frame]))
            self._labels = values.astype(np.int16, copy=False)
            self._labels.flags.writeable = False  # parts of it are handed out
        return self._labels

    def _wrong_label(self, index: int, label: int) -> UserError:
        action = str(self.action[index])
        phases = len(self.phase_names.get(action, ()))
        known = f"{phases} phases named for action {action!r}"
        return self._wrong(f"video {str(self.video_id[index])!r}: label {label}, expected -1..{phases - 1} ({known})")

    @property
    def served_dtype(self) -> np.dtype:
        """Return the type in which batches are read: half precision as it is stored, else float32."""
        return np.dtype(np.float16 if self.dtype == np.float16 else np.float32)

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
        places = list(zip(at.tolist(), starts.tolist(), lengths.tolist(), strict=True))
        done = 0
        try:
            reader = self._embeddings
            reader.announce(starts, lengths)
            for first, start, length in places:
                self._read_rows(reader, frames[first : first + length], start)
                done += 1
        except _DAMAGE as error:
            what = f"video {str(self.video_id[indices[done]])!r}: embeddings"
            raise self._unreadable(what, error) from error
        if labels is None:
            return
        known = self._labels_of_all() if self.has_labels else None
        for first, start, length in places:
            labels[first : first + length] = -1 if known is None else known[start : start + length]

    def _read_rows(self, reader: RowReader, out: np.ndarray, start: int) -> None:
        """Fill ``out`` (L, C) with the rows from ``start`` on, of the groups that are served."""
        if self._picked is None:
            reader.read_into(out, start)
            return
        columns = split_columns(self._stored_groups)
        rows = np.empty((len(out), columns[-1].stop), out.dtype)
        reader.read_into(rows, start)
        np.concatenate([rows[:, columns[number]] for number in self._picked], axis=1, out=out)

    def read(self, index: int) -> np.ndarray:
        """Return the embeddings (L_i, C) of a video, float32."""
        rows = self._rows(index)
        if rows.dtype == np.float16:
            return _from_half(rows)
        with np.errstate(over="ignore"):  # what overflows is infinite, which others look for
            return rows.astype(np.float32, copy=False)

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
        """Return the values (L_i,) of a video, None where all are NaN; the whole of them is read once."""
        if name not in self._columns:
            try:
                with h5py.File(self.path, "r") as file:
                    self._columns[name] = file[name][:].astype(dtype)
            except _DAMAGE as error:
                raise self._unreadable(name, error) from error
        values = self._columns[name][self.offsets[index] : self.offsets[index + 1]]
        return None if np.isnan(values).all() else values

    def extractor_state(self) -> State | None:
        """Return arrays and parameters stored by the extractor of the groups served, None if it stored none."""
        state = self._stored_state()
        if self._picked is None:
            return state
        parts = part_states(state, len(self._stored_groups))
        return parts[self._picked[0]] if len(self._picked) == 1 else join_states([parts[i] for i in self._picked])

    def _stored_state(self) -> State | None:
        try:
            with h5py.File(self.path, "r") as file:
                if "extractor_state" not in file:
                    return None
                group = file["extractor_state"]
                return {name: group[name][()] for name in group}, json.loads(_text(group.attrs["parameters"]))
        except _DAMAGE as error:
            raise self._unreadable("group 'extractor_state'", error) from error

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with metadata, labels or (a sample of) the embeddings."""
        if self._fingerprint is None:
            self._fingerprint = self._hashed()
        return self._fingerprint

    def _hashed(self) -> str:
        digest = hashlib.sha256()
        texts = [self.dataset, self.extractor, self.source, json.dumps(self.phase_names, sort_keys=True)]
        texts += [json.dumps(self.feature_groups)] if len(self.feature_groups) > 1 else []
        digest.update("\0".join([*texts, *self.video_id, *self.action, *self.split]).encode())
        digest.update(self.offsets.tobytes())
        digest.update(self.fps.tobytes())
        for index in np.unique(np.linspace(0, len(self) - 1, 64).astype(int)):
            digest.update(self._rows(index).tobytes())
            digest.update(self.labels(index).tobytes())
        return digest.hexdigest()[:16]

    def validate(self, most_frames: int | None = None) -> None:
        """Read everything and check the values; warn of videos whose embeddings do not change.

        Feature groups that do not change in a video while others do are noted in :attr:`still_groups`.

        Args:
            most_frames: Of larger caches only about so many are read, of videos evenly spread.

        Raises:
            UserError: For NaN or infinity, a bad frame rate, a label out of range, or falling progress or times; names
                the video.
        """
        total = int(self.offsets[-1])
        count = len(self) if most_frames is None or total <= most_frames else max(len(self) * most_frames // total, 1)
        still: list[str] = []
        self.still_groups = {}
        for index in np.linspace(0, len(self) - 1, count).round().astype(int).tolist():
            video = str(self.video_id[index])
            values = self.read(index)
            if not np.isfinite(values).all():
                raise self._not_finite(video, values)
            self._is_finite[index] = True
            is_still = self._is_still(values)
            if all(is_still.values()):
                still.append(f"{video!r}{'' if values.any() else ' (all zero)'}")
            else:
                for name in (name for name, found in is_still.items() if found):
                    self.still_groups.setdefault(name, []).append(video)
            if not 0 < self.fps[index] < np.inf:
                raise self._wrong(f"video {video!r}: expected frames per second above 0, but found {self.fps[index]}")
            labels = self.labels(index)
            wrong = labels[(labels < -1) | (labels >= len(self.phase_names.get(self.action[index], ())))]
            if len(wrong):
                raise self._wrong_label(index, int(wrong[0]))
            progress = self.progress(index)
            if progress is not None and not is_progress(progress):
                raise self._wrong(f"video {video!r}: progress must not fall, nor leave [0, 1]")
            times = self.frame_times(index)
            if times is not None and not are_frame_times(times):
                raise self._wrong(f"video {video!r}: frame_times must be 0 or more, and never fall")
        if still:
            named = ", ".join(still[:3]) + (", ..." if len(still) > 3 else "")
            with plain_warnings():
                warnings.warn(
                    f"{self.path}: the embeddings of {len(still)} of {count} videos do not change over time: {named}. "
                    "An extractor that failed makes such; embed these videos anew or leave them out.",
                    stacklevel=2,
                )

    def _is_still(self, values: np.ndarray) -> dict[str, bool]:
        """Return for each feature group whether it does not change in a video (L, C)."""
        parts = [values[:, columns] for columns in split_columns(self.feature_groups)]
        names = [group.name for group in self.feature_groups]
        still = [bool(np.ptp(part, axis=0).max() <= _STILL * np.abs(part).max()) for part in parts]
        return dict(zip(names, still, strict=True))

    def _not_finite(self, video: str, values: np.ndarray) -> UserError:
        bad = ~np.isfinite(values)
        found = f"video {video!r}, frame {int(np.flatnonzero(bad.any(axis=1))[0])}: embeddings hold NaN or infinity"
        parts = zip(self.feature_groups, split_columns(self.feature_groups), strict=True)
        wrong = [group.name for group, columns in parts if bad[:, columns].any()]
        kept = [group.name for group in self.feature_groups if group.name not in wrong]
        if not kept:
            return self._wrong(found)
        found += f" in feature group {', '.join(map(repr, wrong))}"
        return UserError(f"{self.path}: {found}; make it anew, or use data.groups=[{','.join(kept)}].")


_STILL = 1e-6  # range of values, per largest value, of a video that does not change
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

    return torch.from_numpy(values).float().numpy()  # ten times as NumPy's astype


def _text(value: Any) -> str:
    """Return an attribute as text that can be written and hashed; R and MATLAB store arrays of one element."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    text = value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)
    return writable(text)  # bytes that were no UTF-8 come as half a character
