"""Rows of an HDF5 dataset read straight from the file: shuffled batches at the speed at which the disk gives them.

HDF5 finds out anew for every read where the rows lie, which takes longer than to read a video. An uncompressed dataset
lies in the file as plain chunks of rows, whose places are looked up once.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

__all__ = ["RowReader"]


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
        self._rows: int
        self._places: np.ndarray
        self._rows, self._places = found if found is not None else (0, np.zeros(0, dtype=np.int64))
        self._file = path.open("rb", buffering=0) if found is not None else None

    def announce(self, start: int, stop: int) -> None:
        """Have the system fetch rows that will be read soon, while others are read."""
        if self._file is not None and hasattr(os, "posix_fadvise"):
            for place, size in self._pieces(start, stop):
                os.posix_fadvise(self._file.fileno(), place, size, os.POSIX_FADV_WILLNEED)

    def read_into(self, out: np.ndarray, start: int) -> None:
        """Fill ``out`` (L, ...), contiguous and of the dataset's type, with rows ``start`` to ``start + L``.

        Raises:
            OSError: If the file ends before or cannot be read.
        """
        if self._file is None:
            self._dataset.read_direct(out, np.s_[start : start + len(out)])
            return
        view, done = out.reshape(-1).view(np.uint8), 0
        for place, size in self._pieces(start, start + len(out)):
            while size:
                count = os.preadv(self._file.fileno(), [view[done : done + size].data], place)
                if count == 0:
                    raise OSError(f"the file ends at byte {place}")
                place, size, done = place + count, size - count, done + count

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield place and size in bytes of each stretch of rows that lies in one piece."""
        while start < stop:
            chunk, within = divmod(start, self._rows)
            count = min(self._rows - within, stop - start)
            yield int(self._places[chunk]) + within * self._row_bytes, count * self._row_bytes
            start += count


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
