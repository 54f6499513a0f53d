"""Subsequence dynamic time warping: paths are where they are, however the recording is read."""

import numpy as np

from tpl_lightning.recognition.subsequence import SubsequenceSearch


def test_the_search_does_not_depend_on_how_the_recording_is_cut():
    costs = np.random.default_rng(0).random((200, 2, 12)).astype(np.float32)
    points = np.array([12, 9])
    whole, pieces = SubsequenceSearch(points), SubsequenceSearch(points)
    whole.read(costs)
    for part in np.split(costs, [1, 40, 150]):
        pieces.read(part)
    for one, other in zip(whole.ends(), pieces.ends(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_search_finds_a_free_path_where_it_is():
    costs = np.ones((60, 1, 10), np.float32)
    for step in range(10):
        costs[25 + step, 0, step] = 0
    search = SubsequenceSearch(np.array([10]))
    search.read(costs)
    cost, start, _ = search.ends()
    assert cost[:, 0].argmin() == 34
    assert (cost[34, 0], start[34, 0]) == (0, 25)


def test_a_path_that_the_last_step_interrupts_is_told():
    costs = np.ones((30, 1, 10), np.float32)
    for point in range(6):
        costs[24 + point, 0, point] = 0
    search = SubsequenceSearch(np.array([10]))
    search.read(costs)
    assert search.stopped(1.5) == [(24, 30, 0, 0.0, 0.6)]
    assert search.stopped(0.1) == []  # four points of ten are missing


def test_a_path_may_begin_at_any_point_with_the_first_step_only():
    costs = np.ones((30, 1, 10), np.float32)
    for step in range(6):
        costs[step, 0, 4 + step] = 0
    search = SubsequenceSearch(np.array([10]))
    search.read(costs)
    cost, start, first = search.ends()
    # Two of ten points are missing, at half a point's cost; the first step goes on three.
    np.testing.assert_allclose([cost[5, 0], start[5, 0], first[5, 0]], [0.1, 0, 0.2])
    assert (first[-2:] == 0).all()  # by then a path from the first point on costs less
