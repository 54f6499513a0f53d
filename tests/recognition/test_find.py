import numpy as np

from tests.recognition.curves import FPS, Actions
from tests.recognition.test_actions import made
from tpl_lightning.recognition.find import _is_free, _is_new, _Search, _Spans, find_hits


def recording(actions, parts):
    """Return features and the truth (start, end, action) of parts: numbers of actions, or None for a pause."""
    rows, truth = [], []
    for part in parts:
        begin = sum(map(len, rows))
        if part is None:
            last = rows[-1][-1] if rows else actions.poses[0, 0]
            rows.append(actions.pause(last, 50))
        elif part == "foreign":
            rows.append(actions.foreign())
        else:
            rows.append(actions.clip(part))
            truth.append((begin, begin + len(rows[-1]), part))
    return np.concatenate(rows), truth


def test_occurrences_are_found_one_by_one(tmp_path):
    actions = Actions(3)
    model = made(tmp_path, actions)
    features, truth = recording(actions, [None, 0, 0, 0, None, "foreign", None, 2, "foreign", 1, None, 2, None])
    told = []
    hits = find_hits(model, features, FPS, told.append)
    assert [hit.action for hit in hits] == [action for _, _, action in truth]
    for hit, (start, end, _) in zip(hits, truth, strict=True):
        assert abs(hit.start - start) <= 12
        assert abs(hit.end - end) <= 12
        assert 0 <= hit.error <= 1
    assert abs(sum(told) - len(features)) < 10


def test_nothing_is_found_where_nothing_is(tmp_path):
    actions = Actions(3)
    model = made(tmp_path, actions)
    features, _ = recording(actions, [None, "foreign", None, "foreign"])
    assert find_hits(model, features, FPS) == []
    assert find_hits(model, features[:2], FPS) == []


def test_the_search_does_not_depend_on_how_the_recording_is_cut():
    costs = np.random.default_rng(0).random((200, 2, 12)).astype(np.float32)
    points = np.array([12, 9])
    whole, pieces = _Search(points), _Search(points)
    whole.read(costs)
    for part in np.split(costs, [1, 40, 150]):
        pieces.read(part)
    for one, other in zip(whole.ends(), pieces.ends(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_search_finds_a_free_path_where_it_is():
    costs = np.ones((60, 1, 10), np.float32)
    for step in range(10):
        costs[25 + step, 0, step] = 0
    search = _Search(np.array([10]))
    search.read(costs)
    cost, start, _ = search.ends()
    assert cost[:, 0].argmin() == 34
    assert (cost[34, 0], start[34, 0]) == (0, 25)


def test_hits_share_little_and_proposals_differ():
    spans = _Spans(10)
    for start, end in ((0, 10), (20, 30)):
        spans.add(start, end)
    assert _is_free(7, 17, spans)
    assert not _is_free(6, 16, spans)
    assert not _is_free(8, 22, _of((0, 10), (12, 14)))  # a part of a better one is all of it
    assert not _is_free(7, 23, _of((0, 10), (20, 30)))  # a little of both is too much
    assert _is_free(40, 50, spans)
    assert not _is_new(1, 10, spans)
    assert _is_new(5, 15, spans)


def _of(*found):
    spans = _Spans(10)
    for start, end in found:
        spans.add(start, end)
    return spans


def near(hit, start, end, off=8):
    return abs(hit.start - start) <= off and abs(hit.end - end) <= off


def test_actions_that_the_recording_cuts_are_found(tmp_path):
    actions = Actions(3)
    model = made(tmp_path, actions)
    features, truth = recording(actions, [1, None, 0, None, 2])
    begin, end = 25, truth[-1][1] - 30
    hits = find_hits(model, features[begin:end], FPS)
    assert [hit.action for hit in hits] == [1, 0, 2]
    assert near(hits[0], 0, truth[0][1] - begin)
    assert near(hits[1], truth[1][0] - begin, truth[1][1] - begin)
    assert near(hits[2], truth[2][0] - begin, end - begin)
    assert (hits[1].first, hits[1].last) == (0, 1)
    assert abs(hits[0].first - 25 / truth[0][1]) < 0.15
    assert hits[0].last == 1
    assert abs(hits[2].last - (1 - 30 / (truth[2][1] - truth[2][0]))) < 0.15
    assert hits[2].first == 0
    for hit in hits:
        assert len(hit.position) == hit.end - hit.start
        assert np.all(np.diff(hit.position) >= 0)
        np.testing.assert_allclose(hit.position[[0, -1]], [hit.first, hit.last], atol=0.1)


def test_a_small_rest_of_an_action_is_none(tmp_path):
    actions = Actions(3)
    model = made(tmp_path, actions)
    features, truth = recording(actions, [1, None, 0, None])
    hits = find_hits(model, features[truth[0][1] - 12 :], FPS)
    assert [hit.action for hit in hits] == [0]


def test_fast_and_slow_ones_are_found(tmp_path):
    actions = Actions(3)
    model = made(tmp_path, actions)
    rows = [actions.pause(actions.poses[0, 0], 50)]
    truth = []
    for length in (40, 80, 160):
        begin = sum(map(len, rows))
        rows += [actions.clip(0, length), actions.pause(actions.poses[0, -1], 50)]
        truth.append((begin, begin + length))
    hits = find_hits(model, np.concatenate(rows), FPS)
    assert [hit.action for hit in hits] == [0, 0, 0]
    for hit, (start, end) in zip(hits, truth, strict=True):
        assert near(hit, start, end, 12)


def test_a_path_that_the_last_step_interrupts_is_told():
    costs = np.ones((30, 1, 10), np.float32)
    for point in range(6):
        costs[24 + point, 0, point] = 0
    search = _Search(np.array([10]))
    search.read(costs)
    assert search.stopped(1.5) == [(24, 30, 0, 0.0, 0.6)]
    assert search.stopped(0.1) == []  # four points of ten are missing


def test_a_path_may_begin_at_any_point_with_the_first_step_only():
    costs = np.ones((30, 1, 10), np.float32)
    for step in range(6):
        costs[step, 0, 4 + step] = 0
    search = _Search(np.array([10]))
    search.read(costs)
    cost, start, first = search.ends()
    # Two of ten points are missing, at half a point's cost; the first step goes on three.
    np.testing.assert_allclose([cost[5, 0], start[5, 0], first[5, 0]], [0.1, 0, 0.2])
    assert (first[-2:] == 0).all()  # by then a path from the first point on costs less
