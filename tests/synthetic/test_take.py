"""What a camera sees of a figure."""

import numpy as np

from tpl_lightning.synthetic.actions import ACTION_TABLE
from tpl_lightning.synthetic.take import draw_take


def take(action, progress, *, gear=None, seed=0, size=48):
    rng = np.random.default_rng(seed)
    frames = draw_take(ACTION_TABLE[action], gear or action, np.asarray(progress), rng, size=size)
    return frames.astype(float)


def test_frames_are_the_same_for_the_same_numbers():
    one, same, other = (take("dips", [0.0, 0.5, 1.0], seed=seed) for seed in (0, 0, 1))
    assert one.shape == (3, 48, 48, 3)
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).mean() > 10


def test_what_moves_is_the_figure():
    """At rest only drift, flicker and noise change a picture; a lift changes more, and most in the middle."""
    rest, moving = take("deadlift", np.zeros(3)), take("deadlift", [0.0, 0.25, 0.5])
    at_rest, moved = (np.abs(frames[2] - frames[0]).mean(axis=-1) for frames in (rest, moving))
    assert moved.mean() > 1.2 * at_rest.mean()
    border = np.ones((48, 48), dtype=bool)
    border[6:-6, 6:-6] = False
    assert moved[~border].mean() > 2 * moved[border].mean()


def test_past_the_end_the_figure_goes_back_to_its_first_pose():
    first, up, _, _, back = take("deadlift", [0.0, 0.5, 1.0, 1.5, 2.0])
    assert np.abs(back - first).mean() < 0.75 * np.abs(up - first).mean()


def test_equipment_is_that_of_the_action_named():
    bare, at_bars = take("pushups", [0.0, 0.5]), take("pushups", [0.0, 0.5], gear="dips")
    assert np.abs(bare - at_bars).mean() > 5
