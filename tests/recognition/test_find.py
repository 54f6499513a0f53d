import numpy as np

from tests.recognition.curves import FPS, Actions
from tests.recognition.test_actions import made
from tpl_lightning.recognition.find import find_hits


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
