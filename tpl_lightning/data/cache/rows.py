"""Rows of a dataset in an HDF5 file: read where they lie, if they lie there plainly, and by HDF5 elsewhere.

HDF5 takes longer to look for rows than to read them. A contiguous dataset of plain numbers is an extent of the file.
It is read, not mapped: a map counts all that was ever read as this process's memory, and ends the process where the
file is cut meanwhile.
"""

import math
import os
from pathlib import Path

import h5py
import numpy as np

_PLAIN = ((h5py.h5t.IEEE_F16LE, np.dtype("<f2")), (h5py.h5t.IEEE_F32LE, np.dtype("<f4")))


class RowReader:
    """Reads rows (L, ...) of a dataset into arrays of the caller's.

    Args:
        dataset: Of a file that is open for reading, and stays so where the rows are not plain.

    Attributes:
        is_plain: Whether rows are read without HDF5.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        """Look up where the rows lie."""
        self._dataset, self._dtype = dataset, _plain_dtype(dataset)
        self.is_plain = self._dtype is not None
        if self._dtype is not None:
            self._offset, self._row_bytes = dataset.id.get_offset(), math.prod(dataset.shape[1:]) * self._dtype.itemsize
            self._file = Path(dataset.file.filename).open("rb", buffering=0)  # noqa: SIM115 - kept open

    def read_extents(self, out: np.ndarray, at: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> None:
        """Read extents of K rows and more into ``out`` (F, ...), contiguous; the system fetches all of them meanwhile.

        Args:
            out: To be filled.
            at: (K,) row of ``out`` at which an extent begins.
            starts: (K,) row of the dataset at which it begins.
            lengths: (K,) rows.

        Raises:
            OSError: If the file ends before or cannot be read.
        """
        extents = list(zip(at.tolist(), starts.tolist(), lengths.tolist(), strict=True))
        if self._dtype is None:
            with np.errstate(over="ignore"):  # of float64; what overflows is infinite, which others look for
                for first, start, length in extents:
                    out[first : first + length] = self._dataset[start : start + length]
            return
        if len(extents) > 1 and hasattr(os, "posix_fadvise"):
            for _, start, length in extents:
                place = self._offset + start * self._row_bytes
                os.posix_fadvise(self._file.fileno(), place, length * self._row_bytes, os.POSIX_FADV_WILLNEED)
        for first, start, length in extents:
            rows = out[first : first + length]
            if rows.dtype == self._dtype:
                self._read(rows, start)
            else:
                stored = np.empty(rows.shape, self._dtype)
                self._read(stored, start)
                rows[...] = stored

    def _read(self, rows: np.ndarray, start: int) -> None:
        left, offset = rows.reshape(-1).view(np.uint8).data, self._offset + start * self._row_bytes
        while left:
            count = os.preadv(self._file.fileno(), [left], offset)
            if count == 0:
                raise OSError(f"the file ends at byte {offset}")
            left, offset = left[count:], offset + count


def _plain_dtype(dataset: h5py.Dataset) -> np.dtype | None:
    """Return the type of plain numbers that lie behind one another in a file; None where they do not."""
    stored = dataset.id.get_type()  # of the file: what h5py calls float32 may be bfloat16 there
    dtype = next((dtype for kind, dtype in _PLAIN if stored == kind), None)
    elsewhere = dataset.chunks is not None or dataset.is_virtual or dataset.external or dataset.file.userblock_size > 0
    if dtype is None or elsewhere or not hasattr(os, "preadv") or dataset.id.get_offset() is None:
        return None
    return dtype if dataset.id.get_storage_size() == dataset.size * dtype.itemsize > 0 else None
