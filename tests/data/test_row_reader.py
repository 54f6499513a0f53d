"""Rows read straight from the file against HDF5's own reading."""

import os

import h5py
import numpy as np
import pytest

from tpl_lightning.data import row_reader
from tpl_lightning.data.row_reader import RowReader

VALUES = np.random.default_rng(0).normal(size=(5000, 6)).astype(np.float16)


def _write(path, **options):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", (0, 6), "float16", maxshape=(None, 6), **{"chunks": (512, 6), **options})
        for start in range(0, len(VALUES), 700):  # chunks are made one by one, with other things between them
            dataset.resize(min(start + 700, len(VALUES)), axis=0)
            dataset[start:] = VALUES[start : start + 700]
            file.attrs[f"between_{start}"] = np.arange(100)
        file.create_dataset("plain", data=VALUES)
        file.create_dataset("labels", data=VALUES[:, 0])
        file.create_dataset("swapped", data=VALUES.astype(">f2"))
    return h5py.File(path)


CASES = {
    "chunks": ("x", {}, True),
    "one row a chunk": ("x", {"chunks": (1, 6)}, True),
    "not chunked": ("plain", {}, True),
    "one axis": ("labels", {}, True),
    "compressed": ("x", {"compression": "gzip"}, False),
    "check sums": ("x", {"fletcher32": True}, False),
    "half rows a chunk": ("x", {"chunks": (512, 3)}, False),
    "other byte order": ("swapped", {}, False),
}


@pytest.mark.parametrize(("name", "options", "direct"), CASES.values(), ids=CASES.keys())
def test_rows_are_those_that_hdf5_reads(tmp_path, name, options, direct):
    with _write(tmp_path / "a.h5", **options) as file:
        reader = RowReader(tmp_path / "a.h5", file[name])
        assert (reader._file is not None) == direct
        for start, stop in [(0, 5000), (0, 1), (511, 513), (512, 1024), (4999, 5000), (100, 3000), (7, 7)]:
            out = np.empty((stop - start, *reader.row_shape), reader.dtype)
            reader.read_into(out, start)
            np.testing.assert_array_equal(out, file[name][start:stop])


@pytest.mark.parametrize(("name", "options", "direct"), CASES.values(), ids=CASES.keys())
def test_packed_rows_are_those_that_hdf5_reads(tmp_path, name, options, direct):
    """Any order of places, rows over several chunks, the ends of the file; what lies between stays as it was."""
    rng = np.random.default_rng(0)
    starts = np.array([0, 4999, 511, 100, *rng.integers(0, 3000, 20)])
    lengths = np.array([1, 1, 514, 1500, *rng.integers(1, 1500, 20)])
    at = 1600 * rng.permutation(30)[: len(starts)]
    with _write(tmp_path / "a.h5", **options) as file:
        reader = RowReader(tmp_path / "a.h5", file[name])
        out = np.full((30 * 1600, *reader.row_shape), 7, reader.dtype)
        expected = out.copy()
        for first, start, length in zip(at, starts, lengths, strict=True):
            expected[first : first + length] = file[name][start : start + length]
        reader.read_packed(out, at, starts, lengths)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("shuffled", [False, True])
def test_chunks_may_lie_anywhere_in_the_file(tmp_path, shuffled):
    """What lies behind one another is read at once; what does not, is not."""
    with _write(tmp_path / "a.h5") as file:
        reader = RowReader(tmp_path / "a.h5", file["x"])
        rows = file["x"][:]
    starts, lengths = np.array([100, 900]), np.array([3000, 4000])
    if shuffled:  # the chunks of the same file in another order are another dataset
        order = np.random.default_rng(1).permutation(len(reader._places) - 1)
        reader._set_places(reader._rows, np.append(reader._places[order], reader._places[-1]))
        size = reader._rows
        full = rows[: size * (len(rows) // size)].reshape(-1, size, *rows.shape[1:])[order]
        rows[: len(full) * size] = full.reshape(-1, *rows.shape[1:])
    out = np.zeros((7000, *rows.shape[1:]), rows.dtype)
    reader.read_packed(out, np.array([0, 3000]), starts, lengths)
    np.testing.assert_array_equal(out[:3000], rows[100:3100])
    np.testing.assert_array_equal(out[3000:], rows[900:4900])
    count = len(reader._stretches(starts, lengths, np.zeros(2, dtype=np.int64))[0])
    assert (count > 4) == shuffled


def test_a_file_that_ends_early_is_no_data(tmp_path):
    with _write(tmp_path / "a.h5") as file:
        reader = RowReader(tmp_path / "a.h5", file["plain"])
        reader._set_places(reader._rows, reader._places + 10**9)
        with pytest.raises(OSError, match="the file ends at byte"):
            reader.read_into(np.empty((3, 6), np.float16), 10)
        with pytest.raises(OSError, match="the file ends at byte"):
            reader.read_packed(np.empty((3, 6), np.float16), np.array([0]), np.array([10]), np.array([3]))


def test_what_is_not_in_memory_is_announced_and_read_all_the_same(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(os, "posix_fadvise", lambda *place: told.append(place), raising=False)
    with _write(tmp_path / "a.h5") as file:
        reader, rows = RowReader(tmp_path / "a.h5", file["x"]), file["x"][:]
    out, place = np.empty((9, 6), np.float16), (np.array([40]), np.array([9]))

    def part(number, out, place):
        return os.preadv(number, [out[:20]], place)

    monkeypatch.setattr(row_reader, "_ANNOUNCED", 2)
    reader._announcements = 0  # those at first are made
    none, here = (lambda *_: 0), (lambda number, out, place: os.preadv(number, [out], place))
    for at_hand, count in [(here, 0), (here, 0), (part, 0), (here, 1), (none, 2), (here, 3), (here, 4), (here, 4)]:
        monkeypatch.setattr(row_reader, "_at_hand", at_hand)
        reader.announce(*place)
        assert len(told) == count
        out[:] = 0
        reader.read_into(out, 40)
        np.testing.assert_array_equal(out, rows[40:49])
