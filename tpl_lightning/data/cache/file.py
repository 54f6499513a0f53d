"""One HDF5 file of an embedding cache, checked as it is opened: metadata in memory, the rest read when asked for."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tpl_lightning.data.cache.groups import State, read_groups
from tpl_lightning.data.cache.layout import COLUMNS, FORMAT, MOST_PHASES, SPLITS, VERSION, Column, text_of, value_faults
from tpl_lightning.data.cache.parts import check_parts
from tpl_lightning.data.cache.rows import RowReader
from tpl_lightning.errors import FileError, UserError, first_line
from tpl_lightning.files import writer_of

DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError)
"""What h5py raises where bytes of a file were lost or changed. UserError is a ValueError; let it through first."""


class CacheFile:
    """A file: its metadata, and what reads its rows.

    Each process opens it on its first read (HDF5 handles survive neither fork nor pickling).

    Args:
        path: The file.

    Attributes:
        dataset, extractor, source, phase_names, video_id, action, split, offsets, lengths, fps, file_bytes,
            feature_groups, dtype: See :class:`EmbeddingCache`.
        has: Names of the datasets that it has.

    Raises:
        UserError: If it is no cache of this format, or its datasets contradict each other.
    """

    def __init__(self, path: Path) -> None:
        """Read and check the metadata."""
        self.path = path
        self._opened: tuple[int, RowReader] | None = None  # by which process
        self._known: dict[str, np.ndarray] = {}  # columns of frames that were read
        if not path.is_file():
            raise FileError(f"{path}: no such embedding cache; give an existing file with data.cache=PATH.")
        try:
            with h5py.File(path, "r") as file:
                self._read_attributes(file.attrs)
                self._read_videos({name: self._find(file, column) for name, column in COLUMNS.items()})
                groups = text_of(file.attrs.get("feature_groups"))
        except UserError:
            raise
        except BlockingIOError as error:
            raise UserError(
                f"{path}: it is being written by {writer_of(path)}; wait for its end, or set "
                "HDF5_USE_FILE_LOCKING=FALSE if nobody writes it (network file systems may keep old locks)."
            ) from error
        except DAMAGE as error:
            raise FileError(f"{path}: not a readable HDF5 file ({first_line(error)}); copy or make it anew.") from error
        try:
            self.feature_groups = read_groups(groups, self.extractor, self.num_channels)
        except ValueError as error:
            raise self.wrong(str(error)) from None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the handle and what was read behind: each process opens its own."""
        return {**self.__dict__, "_opened": None, "_known": {}}

    def wrong(self, found: str) -> UserError:
        """Return the error that says what is wrong with it."""
        return UserError(f"{self.path}: {found}; make the cache anew (data/README.md describes the format).")

    def unreadable(self, what: str, error: Exception) -> UserError:
        """Return the error that says what of it cannot be read."""
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return UserError(
                f"{self.path}: cannot be opened ({first_line(error)}); let this process open more, with `ulimit -n`."
            )
        return self.wrong(f"{what} cannot be read ({first_line(error)})")

    def read_extents(self, out: np.ndarray, at: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> None:
        """Read extents of the embeddings (K,) into ``out`` (F, C), see :meth:`RowReader.read_extents`."""
        opened = self._opened
        if opened is None or opened[0] != os.getpid():
            file = h5py.File(self.path, "r")
            opened = self._opened = (os.getpid(), RowReader(file["embeddings"]))
            if opened[1].is_plain:  # one descriptor for each of many files
                file.close()
        opened[1].read_extents(out, at, starts, lengths)

    def column(self, name: str) -> np.ndarray:
        """Return a value for each frame (F,), read at once and kept: a few at a time take the disk long.

        Raises:
            UserError: If it cannot be read, or a label has no name.
        """
        if name not in self._known:
            values = self._read_column(COLUMNS[name])
            values.flags.writeable = False  # parts of it are handed out
            self._known[name] = values
        return self._known[name]

    def extractor_state(self) -> State | None:
        """Return arrays and parameters stored by the extractor, None if it stored none."""
        try:
            with h5py.File(self.path, "r") as file:
                if "extractor_state" not in file:
                    return None
                group = file["extractor_state"]
                return {name: group[name][()] for name in group}, json.loads(text_of(group.attrs["parameters"]))
        except DAMAGE as error:
            raise self.unreadable("group 'extractor_state'", error) from error

    def _read_attributes(self, attributes: Any) -> None:
        kind, version = text_of(attributes.get("format")), text_of(attributes.get("version"))
        if kind != FORMAT or version not in (str(VERSION), f"{VERSION}.0"):  # MATLAB's numbers are floats
            found = f"format {kind!r} version {version or 'none'}"
            raise self.wrong(f"expected format {FORMAT!r} version {VERSION}, but found {found}")
        self.dataset, self.extractor, self.source = (
            text_of(attributes.get(name)) for name in ("dataset", "extractor", "source")
        )
        try:
            names = json.loads(text_of(attributes.get("phase_names")) or "{}")
        except ValueError:
            names = None
        if not isinstance(names, dict) or not all(isinstance(phases, list) for phases in names.values()):
            raise self.wrong("attribute 'phase_names' is no JSON object of lists")
        self.phase_names = {text_of(action): [text_of(name) for name in phases] for action, phases in names.items()}

    def _find(self, file: h5py.File, column: Column) -> h5py.Dataset | None:
        """Return a dataset of the right type that is whole; None where it is not there and need not be."""
        name = column.name
        if name not in file:
            if column.missing is None:
                raise self.wrong(f"dataset {name!r} is missing")
            return None
        try:
            found = file[name]
        except KeyError:
            link = file.get(name, getlink=True)
            if not isinstance(link, (h5py.SoftLink, h5py.ExternalLink)):
                raise
            target = f"{link.filename}:{link.path}" if isinstance(link, h5py.ExternalLink) else link.path
            raise self.wrong(f"dataset {name!r} is a link to {target}, which is not there") from None
        if not isinstance(found, h5py.Dataset):
            raise self.wrong(f"expected {name!r} to be {column.in_words}, but found a group")
        kind = "text" if h5py.check_string_dtype(found.dtype) is not None else found.dtype.kind
        if found.ndim != column.num_dimensions or kind not in (column.kinds, *column.kinds):
            values = f"shape {found.shape} of {'strings' if kind == 'text' else found.dtype}"
            raise self.wrong(f"expected {name!r} to be {column.in_words}, but found {values}")
        missing = check_parts(found)
        if missing is not None:
            raise self.wrong(f"dataset {name!r} is not whole: {missing}")
        return found

    def _read_videos(self, datasets: dict[str, h5py.Dataset | None]) -> None:
        """Read what is known of each video, and check that it fits together."""
        found = {name: dataset for name, dataset in datasets.items() if dataset is not None}
        self.has, self.dtype = frozenset(found), found["embeddings"].dtype
        frames, self.num_channels = (int(size) for size in found["embeddings"].shape)
        count = len(found["video_id"])
        if count == 0 or self.num_channels == 0:
            raise self.wrong("no videos in it" if count == 0 else "embeddings without channels")
        sizes = {"video": count, "border": count + 1, "frame": frames}
        for name, dataset in found.items():
            if len(dataset) != sizes[COLUMNS[name].per]:
                raise self.wrong(f"expected {sizes[COLUMNS[name].per]} values in {name!r}, but found {len(dataset)}")
        self.video_id, self.action, self.split, self.fps, self.file_bytes, self.offsets = (
            self._values(COLUMNS[name], found.get(name), count)
            for name in ("video_id", "action", "split", "fps", "file_bytes", "offsets")
        )
        self.lengths = np.diff(self.offsets)
        if self.offsets[0] != 0 or self.offsets[-1] != frames:
            raise self.wrong(f"offsets run from {self.offsets[0]} to {self.offsets[-1]}, expected 0 to {frames}")
        for index in np.flatnonzero(self.lengths < 2):
            found_text = f"video {str(self.video_id[index])!r} has {self.lengths[index]} frames"
            raise self.wrong(f"{found_text} by its offsets, expected at least 2")
        for index in np.flatnonzero(~np.isin(self.split, SPLITS)):
            found_text = f"video {str(self.video_id[index])!r} is in split {str(self.split[index])!r}"
            raise self.wrong(f"{found_text}, expected one of {', '.join(SPLITS)}")
        names, counts = np.unique(self.video_id, return_counts=True)
        if (counts > 1).any():
            raise self.wrong(f"video_id {str(names[counts > 1][0])!r} occurs {counts.max()} times, expected once")

    def _values(self, column: Column, dataset: h5py.Dataset | None, count: int) -> np.ndarray:
        if dataset is None:
            return column.filled(count)
        if column.kinds != "text":
            return np.asarray(dataset[:].astype(column.dtype))
        try:
            # Named, as fixed-length strings are often stored as UTF-8 under the name of ASCII.
            return np.asarray(dataset.asstr("utf-8")[:].astype(str))
        except UnicodeDecodeError as error:
            raise self.wrong(f"dataset {column.name!r} is no UTF-8 text") from error

    def _read_column(self, column: Column) -> np.ndarray:
        if column.name not in self.has:
            return np.broadcast_to(column.filled(1), (int(self.offsets[-1]),)).view()
        try:
            with h5py.File(self.path, "r") as file:
                values = file[column.name][:]
        except DAMAGE as error:
            raise self.unreadable(column.name, error) from error
        if column.name == "labels":  # before they are narrowed
            self._check_labels(values)
        return np.asarray(values.astype(column.dtype, copy=False))

    def _check_labels(self, values: np.ndarray) -> None:
        named = [min(len(self.phase_names.get(action, ())), MOST_PHASES) for action in self.action]
        phases = np.repeat(named, self.lengths)
        for frame in np.flatnonzero((values < -1) | (values >= phases)):
            video = str(self.video_id[np.searchsorted(self.offsets, frame, side="right") - 1])
            fault = next(value_faults(labels=values[frame : frame + 1], phases=int(phases[frame])))
            raise self.wrong(f"video {video!r}: {fault}")
