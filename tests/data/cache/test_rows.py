"""Rows read where they lie against HDF5's own reading."""

import h5py
import numpy as np
import pytest

from tpl_lightning.data.cache.rows import RowReader

VALUES = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)


def _bfloat16():
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_precision(16)
    kind.set_offset(0)
    kind.set_size(2)
    kind.set_ebias(127)
    return kind


def _low_level(file, kind=h5py.h5t.IEEE_F32LE, layout=h5py.h5d.CONTIGUOUS):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(layout)
    dataset = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple(VALUES.shape), plan)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, VALUES.copy())


def _elsewhere(file, path):
    with h5py.File(path.with_suffix(".other"), "w") as other:
        other["junk"] = np.arange(1000.0)
        other["x"] = VALUES
    file["x"] = h5py.ExternalLink(path.with_suffix(".other").name, "/x")


def _virtual(file, path):
    with h5py.File(path.with_suffix(".other"), "w") as other:
        other["x"] = VALUES
    layout = h5py.VirtualLayout(VALUES.shape, VALUES.dtype)
    layout[:] = h5py.VirtualSource(path.with_suffix(".other").name, "x", VALUES.shape)
    file.create_virtual_dataset("x", layout)


def _stored(file, path):
    raw = [(str(path.with_suffix(".raw")), 0, VALUES.nbytes)]
    file.create_dataset("x", VALUES.shape, "f4", external=raw)[:] = VALUES


CASES = {  # how it is written, options of the file, whether its rows lie plainly
    "single": (lambda f, _: f.create_dataset("x", data=VALUES), {}, True),
    "half": (lambda f, _: f.create_dataset("x", data=VALUES.astype("f2")), {}, True),
    "one axis": (lambda f, _: f.create_dataset("x", data=VALUES[:, 0]), {}, True),
    "soft link": (lambda f, _: (f.create_dataset("y/x", data=VALUES), f.update(x=h5py.SoftLink("/y/x"))), {}, True),
    "another file": (_elsewhere, {}, True),
    "user block": (lambda f, _: f.create_dataset("x", data=VALUES), {"userblock_size": 512}, False),
    "chunks": (lambda f, _: f.create_dataset("x", data=VALUES, chunks=(64, 6)), {}, False),
    "half rows a chunk": (lambda f, _: f.create_dataset("x", data=VALUES, chunks=(64, 3)), {}, False),
    "compressed": (lambda f, _: f.create_dataset("x", data=VALUES, compression="gzip"), {}, False),
    "other byte order": (lambda f, _: f.create_dataset("x", data=VALUES.astype(">f4")), {}, False),
    "double": (lambda f, _: f.create_dataset("x", data=VALUES.astype("f8")), {}, False),
    "bfloat16": (lambda f, _: _low_level(f, _bfloat16()), {}, False),
    "compact": (lambda f, _: _low_level(f, layout=h5py.h5d.COMPACT), {}, False),
    "raw file": (_stored, {}, False),
    "virtual": (_virtual, {"libver": "latest"}, False),
}


@pytest.mark.parametrize(("write", "options", "is_plain"), CASES.values(), ids=CASES.keys())
def test_rows_are_those_that_hdf5_reads(tmp_path, write, options, is_plain):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", **options) as file:
        write(file, path)
    with h5py.File(path) as file:
        dataset = file["x"]
        reader = RowReader(dataset)
        assert reader.is_plain == is_plain
        for dtype in {dataset.dtype.newbyteorder("="), np.dtype(np.float32)}:
            starts, stops = np.array([0, 499, 0, 100, 7]), np.array([1, 500, 500, 300, 7])
            ends = np.cumsum(stops - starts)
            out = np.empty((ends[-1], *dataset.shape[1:]), dtype)
            reader.read_extents(out, ends - (stops - starts), starts, stops - starts)
            expected = [dataset[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
            np.testing.assert_array_equal(out, np.concatenate(expected).astype(dtype))


def test_a_file_that_is_cut_is_no_data(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=VALUES)
    with h5py.File(path) as file:
        reader = RowReader(file["x"])
        with path.open("r+b") as raw:
            raw.truncate(path.stat().st_size - 5000)
        with pytest.raises(OSError, match="the file ends at byte"):
            reader.read_extents(np.empty((300, 6), np.float32), *np.array([[0], [200], [300]]))
