"""Datasets that are not whole: HDF5 would give zeros for what is missing."""

import h5py
import numpy as np
import pytest

from tests.conftest import write_cache
from tpl_lightning.data.cache.parts import check_parts
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError

VALUES = np.arange(60, dtype=np.float32).reshape(20, 3)


def _virtual(folder, *, cut=20, rows=20, written=True, name="x"):
    """Two halves, each in a file of its own."""
    for number in range(2):
        with h5py.File(folder / f"part{number}.h5", "w") as file:
            data = file.create_dataset(name, VALUES[:10].shape, "f4", chunks=(5, 3))
            if written or number == 0:
                data[:] = VALUES[10 * number : 10 * number + 10]
    layout = h5py.VirtualLayout((rows, 3), "f4")
    layout[:10] = h5py.VirtualSource("part0.h5", "x", (10, 3))
    layout[10:20] = h5py.VirtualSource("part1.h5", "x", (cut, 3))[cut - 10 : cut]
    with h5py.File(folder / "all.h5", "w", libver="latest") as file:
        file.create_virtual_dataset("x", layout)
    return folder / "all.h5"


def _found(path):
    with h5py.File(path) as file:
        return check_parts(file["x"])


def test_virtual_datasets_need_their_sources(tmp_path):
    assert _found(_virtual(tmp_path, cut=10)) is None
    assert "part1.h5 has only (10, 3) values" in _found(_virtual(tmp_path, cut=20))
    assert "hold 60 of 90 values" in _found(_virtual(tmp_path, cut=10, rows=30))
    assert "part0.h5 has no dataset 'x'" in _found(_virtual(tmp_path, cut=10, name="y"))
    assert "part1.h5 is not whole: 2 of its 2 chunks" in _found(_virtual(tmp_path, cut=10, written=False))
    path = _virtual(tmp_path, cut=10)
    (tmp_path / "part1.h5").write_text("no HDF5")
    assert "part1.h5 is no readable HDF5 file" in _found(path)
    (tmp_path / "part1.h5").unlink()
    assert "source part1.h5 is not there" in _found(path)


def test_storage_outside_of_the_file_needs_its_bytes(tmp_path):
    path, raw = tmp_path / "a.h5", tmp_path / "a.raw"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", VALUES.shape, "f4", external=[(str(raw), 0, h5py.h5f.UNLIMITED)])[:] = VALUES
    assert _found(path) is None
    raw.write_bytes(raw.read_bytes()[:-8])
    assert "has 232 bytes, expected at least 240" in _found(path)
    raw.unlink()
    assert "is not there" in _found(path)


def test_chunks_and_datasets_that_were_never_written(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("x", VALUES.shape, "f4", chunks=(5, 3))
        data[:11] = VALUES[:11]
    assert "1 of its 4 chunks were never written" in _found(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("x", VALUES.shape, "f4")
    assert "none of its rows was ever written" in _found(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("x", VALUES.shape, "f4", fillvalue=-1)
    assert _found(path) is None


@pytest.mark.parametrize("name", ["embeddings", "labels", "offsets"])
def test_a_cache_that_is_not_whole_is_refused(tmp_path, name):
    path = write_cache(tmp_path / "c.h5")
    with h5py.File(path, "r+") as file:
        shape, kind = file[name].shape, file[name].dtype
        del file[name]
        file.create_dataset(name, shape, kind)
    with pytest.raises(UserError, match=rf"c\.h5: dataset '{name}' is not whole: none of its rows was ever written"):
        EmbeddingCache(path)
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = h5py.ExternalLink("gone.h5", "/x")
    with pytest.raises(UserError, match=rf"dataset '{name}' is a link to gone\.h5:/x, which is not there"):
        EmbeddingCache(path)
