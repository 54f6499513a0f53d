"""One file: what is broken is named when it is opened, what is unusual is read."""

from unittest import mock

import h5py
import numpy as np
import pytest

from tests.conftest import write_cache
from tests.data.cache.damage import edit_cache, replaced
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError


@pytest.mark.parametrize(
    ("how", "named"),
    [
        (lambda f: f.attrs.__setitem__("version", 2), "version 2"),
        (lambda f: f.attrs.__setitem__("version", "one"), "version one"),
        (lambda f: f.attrs.__delitem__("format"), "format ''"),
        (lambda f: f.attrs.__setitem__("format", "other"), "other"),
        (lambda f: f.attrs.__setitem__("phase_names", "[1"), "phase_names"),
        (lambda f: f.__delitem__("offsets"), "offsets"),
        (replaced("offsets", np.arange(9)), "offsets"),
        (replaced("split", ["dev"] * 8), "dev"),
        (replaced("split", ["train"] * 7), "split"),
        (replaced("video_id", ["same"] * 8), "same"),
        (replaced("labels", np.zeros(3, np.int16)), "labels"),
        (replaced("embeddings", np.zeros(5)), "'embeddings' to be floats in 2 dimensions"),
        (replaced("embeddings", np.zeros((5, 3), np.int16)), "of int16"),
        (replaced("embeddings", np.zeros((0, 0))), "without channels"),
        (replaced("offsets", 3), "'offsets' to be integers in 1 dimension"),
        (replaced("offsets", np.full(9, np.nan)), "float64"),
        (replaced("video_id", np.arange(8)), "'video_id' to be strings"),
        (replaced("video_id", np.array([b"\xe4%d" % i for i in range(8)])), "'video_id' is no UTF-8"),
        (replaced("fps", ["fast"] * 8), "'fps' to be numbers"),
        (lambda f: f.attrs.__setitem__("phase_names", '{"jump": "up"}'), "phase_names"),
        (lambda f: (f.__delitem__("labels"), f.create_group("labels")), "a group"),
        (lambda f: f["offsets"].__setitem__(3, 1), "'jump_2' has -"),
    ],
)
def test_a_broken_file_is_named_when_opened(cache_path, how, named):
    edit_cache(cache_path, how)
    with pytest.raises(UserError, match=named) as info:
        EmbeddingCache(cache_path)
    assert str(cache_path) in str(info.value)
    assert "\n" not in str(info.value)


def test_fixed_length_utf8_strings_are_read(cache_path):
    names = [f"ä{i}".encode() for i in range(8)]  # h5py calls such bytes ASCII
    edit_cache(cache_path, replaced("video_id", np.array(names)))
    assert EmbeddingCache(cache_path).video_id.tolist() == [f"ä{i}" for i in range(8)]


@pytest.mark.parametrize("share", np.linspace(0.01, 0.999, 12))
def test_a_file_cut_short_is_refused(tmp_path, share):
    content = write_cache(tmp_path / "whole.h5", videos=40).read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"cut\.h5: not a readable HDF5 file"):
        EmbeddingCache(path)


@pytest.mark.parametrize("kind", [OSError, RuntimeError, KeyError, ValueError, TypeError])
def test_whatever_hdf5_says_of_damage_becomes_one_line(cache_path, kind):
    cache = EmbeddingCache(cache_path)
    damage = mock.Mock(side_effect=kind("bad heap\nat address 7"))
    with mock.patch.object(h5py.Group, "__getitem__", damage):
        for call in (lambda: EmbeddingCache(cache_path), lambda: cache.read(3), cache.validate):
            with pytest.raises(UserError, match=r"tiny\.h5: .*bad heap") as info:
                call()
            assert "\n" not in str(info.value)
        with pytest.raises(UserError, match="video 'turn_3': embeddings cannot be read"):
            cache.read(3)


def test_files_that_are_no_hdf5(tmp_path):
    with pytest.raises(UserError, match="no such"):
        EmbeddingCache(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("hello")
    with pytest.raises(UserError, match="HDF5"):
        EmbeddingCache(text)
    cut = write_cache(tmp_path / "cut.h5")
    cut.write_bytes(cut.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"cut\.h5"):
        EmbeddingCache(cut)


def test_attributes_are_text_as_others_write_it(cache_path):
    """Arrays of one element (R), numbers that are floats (MATLAB), bytes that are no UTF-8, half characters."""

    def others(file):
        for name in ("format", "dataset"):
            text = file.attrs[name]
            del file.attrs[name]
            file.attrs.create(name, np.array([text], dtype=object), dtype=h5py.string_dtype())
        file.attrs["version"] = 1.0
        file.attrs["source"] = np.bytes_(b"caf\xe9")
        file.attrs.create("extractor", b"half \xe9", dtype=h5py.string_dtype())
        file.attrs["phase_names"] = '{"jump": ["\\ud800", "b", "c"], "turn": ["a", "b", "c"]}'

    edit_cache(cache_path, others)
    cache = EmbeddingCache(cache_path)
    assert (cache.dataset, cache.extractor) == ("tiny", "half ?")
    assert cache.source.startswith("caf")
    assert cache.phase_names["jump"] == ["?", "b", "c"]
    assert len(cache.fingerprint()) == 16
