"""What callers from Python give: options and videos, and what is said of those that are wrong."""

import numpy as np
import pytest
import torch

from tests.conftest import write_cache
from tpl_lightning.api.inputs import digest_of, is_cache, options_of, read_arrays, read_options, read_videos
from tpl_lightning.api.labels import Labels
from tpl_lightning.data import ArrayCache, EmbeddingCache, VideoSet
from tpl_lightning.errors import UserError

ONE, OTHER = np.arange(15.0).reshape(5, 3), np.ones((4, 3))


def test_options_are_those_of_the_command_line():
    config = read_options("direct", {"data": {"pca": np.int64(7)}, "direct.smoothness": 0.2}, 3)
    assert (config.method, config.data.pca, config.direct.smoothness, config.seed) == ("direct", 7, 0.2, 3)
    assert options_of(config) == {"data.pca": 7, "direct.smoothness": 0.2}
    assert read_options("linear", {"seed": 5}, None).seed == 5
    drawn = read_options("linear", None, np.random.RandomState(0)).seed
    assert drawn == np.random.RandomState(0).randint(2**31)


@pytest.mark.parametrize(
    ("method", "options", "seed", "words"),
    [
        ("direct", {"direct.smothness": 1}, None, "options: unknown key `direct.smothness`"),
        ("direct", {"data.pca": "many"}, None, "options: wrong value for `data.pca`"),
        ("direct", {"data.pca": 0}, None, "data.pca"),
        ("direct", {"method": "tpl"}, None, "options: method is not given here"),
        ("direct", {"data": {"cache": "c.h5"}}, None, r"options: data.cache is not given here, but by fit\(PATH\)"),
        ("direct", ["data.pca=3"], None, "a dict of dotted keys"),
        ("directly", None, None, "method"),
        ("direct", None, "now", "random_state"),
    ],
)
def test_options_that_are_wrong(method, options, seed, words):
    with pytest.raises(UserError, match=words):
        read_options(method, options, seed)


@pytest.mark.parametrize(
    "given",
    [
        [ONE, OTHER],
        iter([ONE, OTHER]),
        [torch.from_numpy(ONE).requires_grad_(), torch.from_numpy(OTHER)],
        [ONE.tolist(), OTHER.tolist()],
        np.array([ONE, OTHER, 0], dtype=object)[:2],
    ],
)
def test_videos_of_any_kind_are_arrays(given):
    found = read_arrays(given)
    assert [video.dtype for video in found] == [np.float32] * 2
    np.testing.assert_array_equal(found[0], ONE)
    np.testing.assert_array_equal(found[1], OTHER)


def test_tables_hold_one_video_in_a_row():
    table = np.arange(8.0).reshape(2, 4)
    assert [video.tolist() for video in read_arrays(table)] == [[[0], [1], [2], [3]], [[4], [5], [6], [7]]]
    assert [video.shape for video in read_arrays(np.zeros((2, 4, 3)))] == [(4, 3)] * 2
    assert [video.shape for video in read_arrays([np.zeros(4), np.zeros(6)])] == [(4, 1), (6, 1)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "Found 0 sample"),
        ([ONE, ONE[:, :2]], "video 1 has 2 channels, but video 0 has 3"),
        ([ONE, np.full((5, 3), np.nan)], "video 1: Input contains NaN"),
        ([ONE, np.full((5, 3), 1e300)], "video 1: Input contains infinity or a value too large"),
        ([ONE, ONE[:1]], r"video 1: .*shape=\(1, 3\).* minimum of 2"),
        ([ONE, [["a"]]], "video 1: could not convert string to float"),
        ([ONE, [[1.0, 2.0], [3.0]]], "video 1: .*inhomogeneous"),
        ([ONE, ONE + 1j], "video 1: Complex data not supported"),
        ([ONE, 3.0], "video 1: Expected 2D array, got scalar"),
        (3, "but got int"),
        (ONE[:, 0].copy(), "Expected 2D array, got 1D array instead: Reshape"),
        (np.zeros((3, 1)), "1 feature"),
        (np.zeros((2, 3, 4, 5)), "Found array with dim 4"),
        ({"a": ONE, "b": OTHER}, "but got dict"),
    ],
)
def test_videos_that_are_wrong_are_named(given, words):
    with pytest.raises(UserError, match=words):
        read_arrays(given)


def test_sets_of_videos(tmp_path):
    known = Labels({})
    path = write_cache(tmp_path / "c.h5")
    assert [is_cache(x) for x in (path, str(path), EmbeddingCache(path), VideoSet(EmbeddingCache(path)), [ONE])] == [
        True,
        True,
        True,
        False,
        False,
    ]
    some = VideoSet(EmbeddingCache(path)).select(np.array([1, 2]))
    assert read_videos(some, None, None, known, default=list) is some
    assert len(read_videos(str(path), None, None, known, default=list)) == 8
    for actions, labels, name in (("jump", None, "actions"), (None, [], "labels")):
        with pytest.raises(UserError, match=f"`{name}` are not given with a cache"):
            read_videos(path, actions, labels, known, default=list)
    videos = read_videos([ONE, OTHER], None, [[0] * 5, [1] * 4], known, default=lambda _: ["jump", "turn"])
    assert isinstance(videos.cache, ArrayCache)
    assert videos.action.tolist() == ["jump", "turn"]
    assert videos.labels(1).tolist() == [1] * 4
    assert read_videos([ONE], "hop", None, known, default=list).action.tolist() == ["hop"]


@pytest.mark.parametrize("actions", [["jump"], 3, ["a", "b", "c"]])
def test_actions_that_are_wrong(actions):
    with pytest.raises(UserError, match="Expected `actions` to be a name, or a list of 2 names"):
        read_videos([ONE, OTHER], actions, None, Labels({}), default=list)


def test_digests_tell_videos_apart():
    same = digest_of(ONE) == digest_of(np.asfortranarray(ONE))
    others = (ONE + 1e-3, ONE.reshape(3, 5), ONE[:4])
    assert same
    assert digest_of(ONE) not in [digest_of(other) for other in others]
