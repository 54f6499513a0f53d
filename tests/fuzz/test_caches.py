"""Caches that are damaged, or that someone else has written: valid, or refused in one line."""

import shutil

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import write_cache
from tests.fuzz.harness import bounded_memory, edit_file, many, mutated, plain, run
from tests.fuzz.strategies import ATTRIBUTES, NAMES, arrays, edits, number, raw_text, text
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_cache(tmp_path_factory.mktemp("fuzz") / "good.h5", frames=(8, 14), channels=3)


def _check(path):
    """Look at it, validate it and fit on it, as it goes."""
    first, _ = run("cache", "info", path)
    second, _ = run("cache", "validate", path)
    if first == second == 0:
        runs = path.parent / "runs"
        shutil.rmtree(runs, ignore_errors=True)
        run(
            *("fit", "method=linear", f"data.cache={path}", f"run.dir={runs}", "run.name=r"),
            *("run.figures=false", "run.wandb=disabled", "run.progress=false"),
        )


def _set_attribute(name, value):
    def how(file):
        file.attrs.pop(name, None)
        if isinstance(value, bytes):
            file.attrs.create(name, value, dtype=h5py.string_dtype())
        elif value is not None:
            file.attrs[name] = value

    return how


def _replace(name, value):
    def how(file):
        file.pop(name, None)
        if value is not None:
            file[name] = value

    return how


def _put(name, share, value):
    def how(file):
        dataset = file[name]
        if len(dataset) == 0:  # an earlier change has emptied it
            return
        place = int(share * (len(dataset) - 1))
        with np.errstate(all="ignore"):
            dataset[place] = value if dataset.dtype.kind == "O" else np.float64(value).astype(dataset.dtype)

    return how


def _retyped(name, kind):
    def how(file):
        values = file[name][:]
        del file[name]
        with np.errstate(all="ignore"):
            file[name] = values.astype(kind)

    return how


links = st.sampled_from(
    (h5py.SoftLink("/nowhere"), h5py.SoftLink("/odd"), h5py.ExternalLink("gone.h5", "/x"), h5py.ExternalLink(".", "/"))
)
changes = st.one_of(
    st.builds(_set_attribute, st.sampled_from(ATTRIBUTES), st.one_of(st.none(), text, raw_text, number, arrays)),
    st.builds(_replace, st.sampled_from(NAMES), st.one_of(st.none(), arrays, links, text, st.lists(text, max_size=9))),
    st.builds(_put, st.sampled_from(NAMES), st.floats(0, 1), number),
    st.builds(_put, st.sampled_from(NAMES[5:8]), st.floats(0, 1), raw_text),
    st.builds(
        _retyped, st.sampled_from(NAMES[:5]), st.sampled_from(("f2", "f4", "f8", ">f4", "i1", "u1", ">i8", "u8"))
    ),
)


def _bytes(good, folder, found):
    path = folder / "c.h5"
    path.write_bytes(mutated(good.read_bytes(), found))
    _check(path)


def _structure(good, folder, found):
    path = folder / "c.h5"
    shutil.copy(good, path)
    for how in found:
        edit_file(path, how)
    _check(path)


@given(found=edits)
@plain(40)
def test_bytes(good, tmp_path, found):
    _bytes(good, tmp_path, found)


@given(found=st.lists(changes, min_size=1, max_size=3))
@plain(60)
def test_structure(good, tmp_path, found):
    with bounded_memory():
        _structure(good, tmp_path, found)


@pytest.mark.slow
@given(found=edits)
@many(800)
def test_many_bytes(good, tmp_path, found):
    _bytes(good, tmp_path, found)


@pytest.mark.slow
@given(found=st.lists(changes, min_size=1, max_size=3))
@many(800)
def test_many_structures(good, tmp_path, found):
    _structure(good, tmp_path, found)


@given(found=st.lists(changes, min_size=1, max_size=2))
@plain(40)
def test_what_is_read_is_what_hdf5_reads(good, tmp_path, found):
    path = tmp_path / "c.h5"
    shutil.copy(good, path)
    for how in found:
        edit_file(path, how)
    try:
        cache = EmbeddingCache(path)
        cache.validate()
    except UserError:
        return
    with h5py.File(path) as file, np.errstate(all="ignore"):
        expected = file["embeddings"][:].astype(np.float32)
        np.testing.assert_array_equal(np.concatenate([cache.read(i) for i in range(len(cache))]), expected)
        if "labels" in file:
            labels = np.concatenate([cache.labels(i) for i in range(len(cache))])
            np.testing.assert_array_equal(labels.astype(np.int64), file["labels"][:].astype(np.int64))
