"""Occurrences fitted with open ends: where they begin and end, and when each moment of them is."""

import numpy as np
import pytest

from tests.recognition.curves import Actions
from tests.recognition.test_actions import made
from tpl_lightning.recognition.open_fit import fit_open_ends


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    actions = Actions(2)
    model = made(tmp_path_factory.mktemp("made"), actions)
    pause = [actions.pause(actions.poses[0, k], 40) for k in (0, -1)]
    return model, model.values(np.concatenate([pause[0], actions.clip(0, 80), pause[1]]))


def fitted(searched, start, end, shown=(0.0, 1.0), values=None):
    model, all_values = searched
    values = all_values if values is None else values
    one = (np.array([start]), np.array([end]), np.array([0]), np.array([shown]))
    return fit_open_ends(model, values, *one)


@pytest.mark.parametrize(("start", "end"), [(40, 120), (46, 120), (35, 126), (44, 113)])
def test_ends_move_to_where_the_action_is(searched, start, end):
    low, high = fitted(searched, start, end).frames(np.array([[0.0, 1.0]]))[0]
    assert abs(low - 40) <= 3.5
    assert abs(high - 119) <= 3.5


def test_moments_are_where_they_are_whatever_the_window(searched):
    points = np.array([[0.25, 0.5, 0.75]])
    one, other = (fitted(searched, *window) for window in ((40, 120), (44, 126)))
    np.testing.assert_allclose(one.frames(points), other.frames(points), atol=2)
    position = one.positions(0, 40, 120)
    assert position.shape == (80,)
    assert np.all(np.diff(position) >= 0)
    frames = np.interp(points[0], position, np.arange(40, 120))
    np.testing.assert_allclose(frames, one.frames(points)[0], atol=0.5)


def test_what_the_recording_cuts_has_points_before_its_first_frame(searched):
    whole = fitted(searched, 40, 120)
    cut = fitted(searched, 0, 50, (0.4, 1.0), searched[1][70:])
    points = np.array([[0.0, 0.6, 0.8]])
    found = cut.frames(points)[0]
    assert found[0] < 0
    np.testing.assert_allclose(found[1:] + 70, whole.frames(points)[0, 1:], atol=3)
    assert cut.positions(0, 0, 50)[0] > 0.2
