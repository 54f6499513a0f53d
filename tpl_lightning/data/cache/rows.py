"""Rows of a dataset in an HDF5 file: read where they lie, if they lie there plainly, and by HDF5 elsewhere.

HDF5 takes longer to look for rows than to read them. A contiguous dataset of plain numbers is a stretch of the file.
It is read, not mapped: a map counts all that was ever read as this process's memory, and ends the process where the
file is cut meanwhile.
"""

import math
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path

import h5py
import numpy as np

__all__ = ["RowReader"]

_PLAIN = ((h5py.h5t.IEEE_F16LE, np.dtype("<f2")), (h5py.h5t.IEEE_F32LE, np.dtype("<f4")))


class RowReader:
    """Reads rows (entries of the first axis) of a dataset into arrays of the caller's.

    The place in the file is trusted only where its first, middle and last row are those that HDF5 reads.

    Args:
        dataset: Of a file that is open for reading, and stays so where the rows are not plain.

    Attributes:
        is_plain: Whether rows are read without HDF5.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        """Look up where the rows lie."""
        self._dataset, self.is_plain = dataset, False
        found = _place(dataset)
        if found is None:
            return
        self._place, self._dtype = found
        self._row_bytes = math.prod(dataset.shape[1:]) * self._dtype.itemsize
        with suppress(OSError):  # another kind of storage under this name, or a shorter file
            self._file: FileIO = Path(dataset.file.filename).open("rb", buffering=0)  # noqa: SIM115 - kept open
            self.is_plain = self._agrees()

    def read_into(self, out: np.ndarray, start: int) -> None:
        """Fill ``out`` (L, ...), contiguous, with rows ``start`` to ``start + L``.

        Raises:
            OSError: If the file ends before or cannot be read.
        """
        if not self.is_plain:
            with np.errstate(over="ignore"):  # of float64; what overflows is infinite, which others look for
                out[...] = self._dataset[start : start + len(out)]
        elif out.dtype != self._dtype:
            stored = np.empty(out.shape, self._dtype)
            self._read(stored, start)
            out[...] = stored
        else:
            self._read(out, start)

    def announce(self, starts: np.ndarray, lengths: np.ndarray) -> None:
        """Tell the system which rows (K,), ``lengths`` of them from ``starts`` on, are read next."""
        if not self.is_plain or not hasattr(os, "posix_fadvise"):
            return
        number, size = self._file.fileno(), self._row_bytes
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            os.posix_fadvise(number, self._place + start * size, length * size, os.POSIX_FADV_WILLNEED)

    def _read(self, out: np.ndarray, start: int) -> None:
        place, view, done = self._place + start * self._row_bytes, out.reshape(-1).view(np.uint8).data, 0
        while done < len(view):
            count = os.preadv(self._file.fileno(), [view[done:]], place + done)
            if count == 0:
                raise OSError(f"the file ends at byte {place + done}")
            done += count

    def _agrees(self) -> bool:
        count = len(self._dataset)
        row = np.empty((1, *self._dataset.shape[1:]), self._dtype)
        for number in (0, count // 2, count - 1):
            self._read(row, number)
            if row.tobytes() != self._dataset[number].tobytes():
                return False
        return True


def _place(dataset: h5py.Dataset) -> tuple[int, np.dtype] | None:
    """Return the byte of the file at which plain numbers begin, and their type; None where they are not plain."""
    stored = dataset.id.get_type()  # of the file: what h5py calls float32 may be bfloat16 there
    dtype = next((dtype for kind, dtype in _PLAIN if stored == kind), None)
    if dtype is None or dataset.size == 0 or dataset.chunks is not None or dataset.is_virtual or dataset.external:
        return None
    place = dataset.id.get_offset()
    whole = dataset.id.get_storage_size() == dataset.size * dtype.itemsize
    return (place, dtype) if place is not None and whole and hasattr(os, "preadv") else None
