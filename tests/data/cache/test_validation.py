"""Values that are wrong are named with their video."""

import warnings

import h5py
import numpy as np
import pytest

from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError


def _break(path, how):
    with h5py.File(path, "r+") as file:
        how(file)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [("embeddings", np.inf, "frame 0"), ("labels", 9, "expected labels .* but found 9"), ("progress", 2.0, "progress")],
)
def test_validate_names_the_video(cache_path, name, value, named):
    def how(file):
        file[name][int(file["offsets"][3])] = value

    _break(cache_path, how)
    with pytest.raises(UserError, match=named) as info:
        EmbeddingCache(cache_path).validate()
    assert "turn_3" in str(info.value)


def test_validate_checks_the_frame_rate(cache_path):
    _break(cache_path, lambda f: f["fps"].__setitem__(3, np.nan))
    with pytest.raises(UserError, match="'turn_3': expected frames per second"):
        EmbeddingCache(cache_path).validate()


@pytest.mark.parametrize(("value", "words"), [(0, r"'turn_3' \(all zero\)"), (0.5, "'turn_3'\\.")])
def test_videos_that_do_not_change_are_warned_of(cache_path, value, words):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        EmbeddingCache(cache_path).validate()

    def still(file):
        file["embeddings"][slice(*file["offsets"][3:5])] = value

    _break(cache_path, still)
    with pytest.warns(
        UserWarning, match=rf"tiny\.h5: the embeddings of 1 of 8 videos do not change over time: {words}"
    ):
        EmbeddingCache(cache_path).validate()
