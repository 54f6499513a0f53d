"""Key poses, and the labels that follow them."""

import numpy as np
import pytest

from tpl_lightning.synthetic import ACTIONS, PHASE_NAMES
from tpl_lightning.synthetic.actions import ACTION_TABLE, FOREIGN, Style
from tpl_lightning.synthetic.body import BodyShape


@pytest.mark.parametrize("name", ACTIONS)
def test_action_tables_are_complete(name):
    action = ACTION_TABLE[name]
    assert (action.borders[0], action.borders[-1]) == (0.0, 1.0)
    assert (np.diff(action.borders) > 0).all()
    assert len(action.phases) == len(action.borders) - 1 == len(set(action.phases))
    assert {len(poses) for poses in action.controls.values()} == {len(action.borders)}
    assert PHASE_NAMES[name] == list(action.phases)


@pytest.mark.parametrize("name", ACTIONS)
def test_a_border_opens_its_phase(name):
    action = ACTION_TABLE[name]
    inner = np.array(action.borders[1:-1])
    assert action.phase_of(inner).tolist() == list(range(1, len(inner) + 1))
    assert action.phase_of(inner - 1e-6).tolist() == list(range(len(inner)))
    assert action.phase_of(np.array([0.0, 1.0])).tolist() == [0, len(inner)]


@pytest.mark.parametrize("name", ACTIONS)
def test_bones_keep_their_length_and_joints_move_smoothly(name):
    body = BodyShape.random(np.random.default_rng(3))
    pose = ACTION_TABLE[name].skeleton(np.linspace(0, 1, 200), body, Style.random(200, np.random.default_rng(4)))
    for side in ("_r", "_l"):
        bones = {("shoulder", "elbow"): body.upper_arm, ("elbow", "hand"): body.forearm, ("knee", "ankle"): body.shank}
        for (start, end), length in bones.items():
            found = np.linalg.norm(pose[end + side] - pose[start + side], axis=-1)
            np.testing.assert_allclose(found, length, rtol=1e-6)
    for joint, places in pose.joints.items():
        step = np.linalg.norm(np.diff(places, axis=0), axis=-1)
        assert step.max() < 0.08, f"{joint} jumps"  # metres in 1/200 of the action


@pytest.mark.parametrize(
    ("name", "joint", "low_at", "high_at"),
    [
        ("bench_press", "hand_r", 0.5, (0.0, 1.0)),
        ("dips", "neck", 0.5, (0.0, 1.0)),
        ("pushups", "neck", 0.5, (0.0, 1.0)),
        ("deadlift", "neck", 0.15, (0.5, 1.0)),
    ],
)
def test_the_figure_does_the_exercise(name, joint, low_at, high_at):
    progress = np.array([low_at, *high_at])
    body = BodyShape.random(np.random.default_rng(0))
    height = ACTION_TABLE[name].skeleton(progress, body, Style.random(3, np.random.default_rng(1)))[joint][:, 1]
    assert height[0] < height[1:].min() - 0.2


def test_pullups_bring_the_chin_above_the_bar_and_the_deadlift_lifts_the_bar():
    body, style = BodyShape.random(np.random.default_rng(0)), Style.random(3, np.random.default_rng(1))
    pull = ACTION_TABLE["pullups"].skeleton(np.array([0.0, 0.53, 1.0]), body, style)
    above = pull["head"][:, 1] - pull["hand_r"][:, 1]
    assert above[1] > 0 > max(above[0], above[2])
    bar = ACTION_TABLE["deadlift"].skeleton(np.array([0.0, 0.5, 1.0]), body, style).bar[:, 1]
    assert bar[1] > 0.6
    assert bar[0] == pytest.approx(bar[2])


@pytest.mark.parametrize("name", ACTIONS)
def test_foreign_movements_go_there_and_back_with_the_controls_of_their_action(name):
    own, foreign = ACTION_TABLE[name], FOREIGN[name]
    assert set(foreign.controls) == set(own.controls)
    assert {len(poses) for poses in foreign.controls.values()} == {5}
    assert all(poses[0] == poses[-1] for poses in foreign.controls.values())
    assert (foreign.yaw, foreign.build) == (own.yaw, own.build)
