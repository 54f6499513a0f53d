"""DBA and SoftDBA: paths against every path, time maps, accuracy, independence of the batch, checkpoints, bad input."""

import math

import numpy as np
import pytest

from tests.aligners.fitting import fit
from tpl_lightning.aligners.dtw import path_positions, path_weights
from tpl_lightning.aligners.registry import load_aligner
from tpl_lightning.config.loading import load_config
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation.scores import evaluate

METHODS = [["method=dba"], ["method=softdba", "dtw.gamma=0.01"], ["method=softdba"]]


def _fit(path, run_dir, *options):
    return fit(path, run_dir, "data.pca=5", *options)


def _paths(rows, columns, i=0, j=0):
    if (i, j) == (rows - 1, columns - 1):
        return [[(i, j)]]
    steps = [(i + 1, j), (i, j + 1), (i + 1, j + 1)]
    inside = [(a, b) for a, b in steps if a < rows and b < columns]
    return [[(i, j), *rest] for a, b in inside for rest in _paths(rows, columns, a, b)]


@pytest.mark.parametrize("gamma", [None, 0.1, 1.0, 5.0])
@pytest.mark.parametrize("size", [(4, 5), (5, 3), (1, 3), (3, 1)])
def test_weights_are_those_of_all_paths(gamma, size):
    rng = np.random.default_rng(0)
    prototype, video = (rng.normal(size=(n, 2)) for n in size)
    cost = np.square(prototype[:, None] - video).sum(-1)
    paths = _paths(*size)
    costs = [sum(cost[p] for p in path) for path in paths]
    expected = np.zeros(size)
    for path, c in zip(paths, costs, strict=True):
        share = float(c == min(costs)) if gamma is None else math.exp(-(c - min(costs)) / gamma)
        expected[tuple(np.transpose(path))] += share
    total = 1 if gamma is None else sum(math.exp(-(c - min(costs)) / gamma) for c in costs)
    np.testing.assert_allclose(path_weights(prototype, video, gamma), expected / total, atol=1e-6)


def test_both_time_maps_of_a_path():
    # Points 0 and 1 face frame 0, point 2 faces frames 1 and 2, point 3 faces frame 3.
    weights = np.zeros((4, 4))
    weights[[0, 1, 2, 2, 3], [0, 0, 1, 2, 3]] = 1
    positions, sources = path_positions(weights)
    np.testing.assert_allclose(positions, np.array([0.5, 2, 2, 3]) / 3)
    np.testing.assert_allclose(sources, np.array([0, 0, 1.5, 3]) / 3)


@pytest.mark.parametrize("options", METHODS, ids=lambda o: "-".join(o))
def test_beats_linear_and_keeps_the_contract(tmp_path, make_cache, options):
    path = make_cache(tmp_path / "c.h5", videos=16)
    aligner, splits, _ = _fit(path, tmp_path / "run", *options)
    videos = splits.all()
    found = aligner.align(videos)
    linear, _, _ = _fit(path, tmp_path, "method=linear")
    bound = evaluate(linear.align(videos), videos).overall["warp_error"]
    assert evaluate(found, videos).overall["warp_error"] < 0.5 * bound
    median = {a: int(np.median(splits.train.lengths[splits.train.action == a])) for a in videos.actions}
    for i in range(len(videos)):
        assert len(found.position(i)) == videos.lengths[i]
        assert found.prototype_length[i] == len(found.source(i)) == median[str(videos.action[i])]
        for times in (found.position(i), found.source(i)):
            assert (np.diff(times) >= 0).all()
            assert 0 <= times[0] <= times[-1] <= 1


@pytest.mark.parametrize("method", ["dba", "softdba"])
def test_a_video_alone_and_a_checkpoint_give_the_same(tmp_path, make_cache, method):
    # Test videos are longer than any in training.
    split = ["train"] * 6 + ["test"] * 2
    path = make_cache(tmp_path / "c.h5", split=split)
    aligner, splits, config = _fit(path, tmp_path, f"method={method}")
    longer = VideoSet(EmbeddingCache(make_cache(tmp_path / "long.h5", split=["test"] * 8, frames=(45, 60), seed=1)))
    assert longer.lengths.min() > splits.train.lengths.max()
    together = aligner.align(longer)
    again = load_aligner(tmp_path / "checkpoints" / "last.ckpt", config).align(longer)
    np.testing.assert_array_equal(again.prototype_position, together.prototype_position)
    for i in range(len(longer)):
        alone = aligner.align(longer.select(np.array([i])))
        np.testing.assert_array_equal(alone.position(0), together.position(i))
        np.testing.assert_array_equal(alone.source(0), together.source(i))
    labels = evaluate(aligner.align(splits.train), splits.train).prototype_labels
    for action, stored in aligner.prototype_labels().items():
        np.testing.assert_array_equal(stored, labels[action])
        assert aligner.prototypes()[action].shape == (len(stored), 5)


def test_gamma_matters_and_one_action_is_enough(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5", actions=("jump",))
    soft, splits, _ = _fit(path, tmp_path / "a", "method=softdba", "dtw.gamma=1")
    hard, _, _ = _fit(path, tmp_path / "b", "method=softdba", "dtw.gamma=0.001")
    dba, _, _ = _fit(path, tmp_path / "c", "method=dba")
    positions = [a.align(splits.test).prototype_position for a in (soft, hard, dba)]
    assert np.abs(positions[0] - positions[1]).max() > 0.01
    assert np.abs(positions[1] - positions[2]).mean() < np.abs(positions[0] - positions[2]).mean()


def test_bad_input_is_named(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5")
    aligner, _, config = _fit(path, tmp_path, "method=dba")
    other = VideoSet(EmbeddingCache(make_cache(tmp_path / "o.h5", actions=("jump", "swim"))))
    with pytest.raises(UserError, match="'swim' has no prototype"):
        aligner.align(other)
    with pytest.raises(UserError, match=r"none\.ckpt: no checkpoint there"):
        load_aligner(tmp_path / "none.ckpt", config)
    for bad in ("dtw.gamma=0", "dtw.max_iter=0"):
        with pytest.raises(UserError, match=bad.split("=")[0]):
            load_config([bad])
