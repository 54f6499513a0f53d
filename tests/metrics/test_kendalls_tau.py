"""Kendall's tau against plain loops over pairs of videos and of frames."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tests.embedded_videos import ACTIONS, SIZES, make_batch, parts, without_labels
from tpl_lightning.metrics import KendallsTau


def slow_tau(batch, distance, variant):
    values = {a: [] for a in range(ACTIONS)}
    for i, (x, _, a) in enumerate(parts(batch)):
        for j, (y, _, b) in enumerate(parts(batch)):
            if i == j or a != b:
                continue
            match = cdist(x, y, "euclidean" if distance == "l2" else distance).argmin(1)
            signs = [np.sign(match[v] - match[u]) for v in range(len(x)) for u in range(v)]
            scale = len(signs) if variant == "a" else np.sqrt(len(signs) * np.count_nonzero(signs))
            values[a].append(sum(signs) / scale)
    return values


@pytest.mark.parametrize(("distance", "variant"), [("l2", "a"), ("cosine", "a"), ("sqeuclidean", "b")])
def test_it_is_the_mean_over_ordered_pairs_of_an_action(distance, variant):
    whole = make_batch(range(9))
    metric = KendallsTau(**SIZES, distance=distance, variant=variant)
    for numbers in ([4, 0, 8, 1], [2], [3, 5, 6, 7], [5, 0]):  # some come twice
        metric.update(**without_labels(make_batch(numbers)))
    expected = slow_tau(whole, distance, variant)
    everything = [v for values in expected.values() for v in values]
    np.testing.assert_allclose(float(metric.compute()), np.mean(everything), atol=1e-12)
    np.testing.assert_allclose(metric.per_action().tolist(), [np.mean(v) for v in expected.values()], atol=1e-12)


def test_a_video_alone_is_compared_with_nothing():
    metric = KendallsTau(**SIZES)
    metric.update(**without_labels(make_batch([0, 1, 2])))  # of action 1 there is one
    per_action = metric.per_action()
    assert per_action.isnan().tolist() == [False, True]
    assert metric.compute() == per_action[0]
