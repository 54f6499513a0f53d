"""Rows read straight from the file against HDF5's own reading."""

import h5py
import numpy as np
import pytest

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
            reader.announce(start, stop)
            out = np.empty((stop - start, *reader.row_shape), reader.dtype)
            reader.read_into(out, start)
            np.testing.assert_array_equal(out, file[name][start:stop])


def test_a_file_that_ends_early_is_no_data(tmp_path):
    with _write(tmp_path / "a.h5") as file:
        reader = RowReader(tmp_path / "a.h5", file["plain"])
        reader._places = reader._places + 10**9
        with pytest.raises(OSError, match="the file ends at byte"):
            reader.read_into(np.empty((3, 6), np.float16), 10)
