"""Rows of an HDF5 dataset read straight from the file: shuffled batches at the speed at which the disk gives them.

HDF5 finds out anew for every read where the rows lie, which takes longer than to read a video. An uncompressed dataset
lies in the file as plain chunks of rows, whose places are looked up once.
"""

import math
import os
from pathlib import Path

import h5py
import numpy as np

__all__ = ["RowReader"]


_AT_FIRST, _ANNOUNCED = 8, 1000  # reads that are announced: at first, and after one that was on the disk


class RowReader:
    """Reads rows (entries of the first axis) of a dataset into arrays of the caller's.

    Falls back to HDF5 where the dataset is compressed, of another byte order, or its chunks do not hold whole rows.

    Args:
        path: The file.
        dataset: Of the file, open for reading.

    Attributes:
        row_shape: Shape of a row.
        dtype: Type of the values.
    """

    def __init__(self, path: Path, dataset: h5py.Dataset) -> None:
        """Look up where the rows lie."""
        self._dataset, self.row_shape, self.dtype = dataset, dataset.shape[1:], dataset.dtype
        self._row_bytes = math.prod(self.row_shape) * dataset.dtype.itemsize
        found = _places(dataset)
        self._set_places(*(found if found is not None else (0, np.zeros(0, dtype=np.int64))))
        self._file = path.open("rb", buffering=0) if found is not None else None
        self._announcements = _AT_FIRST  # still to be made

    def _set_places(self, rows: int, places: np.ndarray) -> None:
        """Keep the rows of a chunk and the places of the chunks in the file."""
        self._rows, self._places = rows, places
        # Chunks that lie behind one another, with nothing between them, have the same number.
        self._run = np.append(0, np.cumsum(np.diff(places) != rows * self._row_bytes))

    def read_into(self, out: np.ndarray, start: int) -> None:
        """Fill ``out`` (L, ...), contiguous and of the dataset's type, with rows ``start`` to ``start + L``.

        Raises:
            OSError: If the file ends before or cannot be read.
        """
        if len(out):
            self.read_packed(out, *(np.array([x]) for x in (0, start, len(out))))

    def announce(self, starts: np.ndarray, lengths: np.ndarray) -> None:
        """Tell the system which rows will be read soon, so that it fetches them meanwhile.

        As long as it has all that is read in memory, it is told nothing, which takes time, too: only after something
        was not, and then for a while, since what was announced in time is in memory as well.

        Args:
            starts: (K,) first rows.
            lengths: (K,) rows, at least 1.
        """
        if self._file is None or not self._announcements or not hasattr(os, "posix_fadvise"):
            return
        self._announcements -= 1
        stretches = (part.tolist() for part in self._stretches(starts, lengths, np.zeros_like(starts)))
        for place, size, _ in zip(*stretches, strict=True):
            os.posix_fadvise(self._file.fileno(), place, size, os.POSIX_FADV_WILLNEED)

    def read_packed(self, out: np.ndarray, at: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> None:
        """Fill ``lengths[k]`` rows of ``out`` from ``at[k]`` on with those from ``starts[k]`` on, for every k.

        Args:
            out: (F, ...), contiguous and of the dataset's type; the rest of it is left alone.
            at: (K,) first rows in ``out``.
            starts: (K,) first rows.
            lengths: (K,) rows, at least 1.

        Raises:
            OSError: If the file ends before or cannot be read.
        """
        if self._file is None:
            for first, start, length in zip(at.tolist(), starts.tolist(), lengths.tolist(), strict=True):
                self._dataset.read_direct(out[first : first + length], np.s_[start : start + length])
            return
        number, view = self._file.fileno(), out.reshape(-1).view(np.uint8).data
        stretches = (part.tolist() for part in self._stretches(starts, lengths, at * self._row_bytes))
        for place, size, to in zip(*stretches, strict=True):
            done = _at_hand(number, view[to : to + size], place)
            if done < size:
                self._announcements = _ANNOUNCED
            while done < size:
                count = os.preadv(number, [view[to + done : to + size]], place + done)
                if count == 0:
                    raise OSError(f"the file ends at byte {place + done}")
                done += count

    def _stretches(
        self, starts: np.ndarray, lengths: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return place in the file, size and place in the result, in bytes, of what lies in one piece in both."""
        first, last = starts // self._rows, (starts + lengths - 1) // self._rows
        if (self._run[first] == self._run[last]).all():  # nearly always
            return (
                self._places[first] + (starts - first * self._rows) * self._row_bytes,
                lengths * self._row_bytes,
                target,
            )
        count = last - first + 1
        video = np.repeat(np.arange(len(starts)), count)
        chunk = first[video] + np.arange(len(video)) - np.repeat(np.cumsum(count) - count, count)
        begin = np.maximum(starts[video], chunk * self._rows)
        end = np.minimum((starts + lengths)[video], (chunk + 1) * self._rows)
        place = self._places[chunk] + (begin - chunk * self._rows) * self._row_bytes
        size = (end - begin) * self._row_bytes
        at = target[video] + (begin - starts[video]) * self._row_bytes
        # Most chunks lie behind one another.
        is_new = np.ones(len(video), dtype=bool)
        is_new[1:] = (video[1:] != video[:-1]) | (place[1:] != place[:-1] + size[:-1])
        heads = np.flatnonzero(is_new)
        return place[heads], np.add.reduceat(size, heads), at[heads]


def _at_hand(number: int, out: memoryview, place: int) -> int:
    """Read what the system has in memory, and return how many bytes that is; 0 where it cannot tell."""
    try:
        return os.preadv(number, [out], place, os.RWF_NOWAIT)
    except (AttributeError, OSError):  # not on this system; on the disk, or not on this file system
        return 0


def _places(dataset: h5py.Dataset) -> tuple[int, np.ndarray] | None:
    """Return the rows of a chunk and the place in the file of each chunk; None where rows do not lie there plainly."""
    if not dataset.dtype.isnative or dataset.size == 0 or dataset.id.get_create_plist().get_nfilters():
        return None
    if dataset.chunks is None:
        place = dataset.id.get_offset()
        return None if place is None else (dataset.shape[0], np.array([place]))
    if dataset.chunks[1:] != dataset.shape[1:] or not hasattr(dataset.id, "chunk_iter"):
        return None
    rows = dataset.chunks[0]
    places = np.full(-(-dataset.shape[0] // rows), -1, dtype=np.int64)

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        places[chunk.chunk_offset[0] // rows] = chunk.byte_offset

    dataset.id.chunk_iter(note)
    return None if (places < 0).any() else (rows, places)
