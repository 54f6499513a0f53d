"""The five actions: key poses at fixed values of progress, and the skeleton that they drive.

Each action is a table in ``poses.yaml``. Its columns are key poses, one at every phase border, so a phase is what
happens between two key poses. Its rows are controls such as a joint angle or how far the bar is from the chest;
monotone cubic interpolation (PCHIP) runs through the columns, so nothing overshoots. Going up does not retrace going
down: people use their legs, head and back differently, and the tables say how.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from scipy.interpolate import PchipInterpolator

from tpl_lightning.errors import UserError
from tpl_lightning.synthetic.body import SIDES, BodyShape, Skeleton, ahead, at, side

PAD_HEIGHT = 0.42
"""Top of the bench pad above the floor, metres."""

PLATE_RADIUS = 0.215
"""Radius of the plates of the deadlift bar, which is the height of the bar on the floor, metres."""

DIP_BAR_HEIGHT = 1.28
"""Height of the dip bars above the floor, metres."""


@dataclass(frozen=True)
class Style:
    """How one person does the action: drawn once per clip."""

    depth: float
    """Share of the full range of motion, around 1."""
    habit: float
    """Factor on what legs, head and back do besides the main movement, around 1."""
    grip: float
    """Half of the distance between the hands beyond the shoulders, metres."""
    lean: float
    """Constant lean of the trunk, radians."""
    wobble: np.ndarray
    """Small smooth deviations of four controls through the clip, about unit size, shape (T, 4)."""

    @classmethod
    def random(cls, num_frames: int, rng: np.random.Generator) -> "Style":
        """Draw a style.

        Args:
            num_frames: frames of the clip.
            rng: source of randomness.

        Returns:
            The style.
        """
        time = np.linspace(0.0, 1.0, num_frames)[:, None]
        rate, start, size = rng.uniform(1.0, 4.0, 8), rng.uniform(0.0, 2 * np.pi, 8), rng.uniform(0.4, 1.0, 8)
        waves = size * np.sin(2 * np.pi * rate * time + start)
        depth, habit, grip, lean = rng.uniform([0.93, 0.75, 0.06, -0.05], [1.0, 1.25, 0.14, 0.05])
        return cls(depth, habit, grip, lean, waves[:, :4] + waves[:, 4:])


Controls = dict[str, np.ndarray]
Builder = Callable[[Skeleton, Controls, Style], None]
"""Poses a skeleton by the controls, each of shape (T,)."""


@dataclass(frozen=True)
class Action:
    """One action: phases, key poses and the function that builds the skeleton."""

    borders: tuple[float, ...]
    """Progress at the key poses, from 0 to 1; phase ``k`` runs from ``borders[k]`` to ``borders[k + 1]``."""
    phases: tuple[str, ...]
    """Names of the phases in order."""
    controls: dict[str, tuple[float, ...]]
    """Value of each control at each key pose; angles in degrees."""
    build: Builder
    yaw: float
    """Usual direction of the camera: degrees from the figure's right side towards its front."""

    def skeleton(self, progress: np.ndarray, shape: BodyShape, style: Style) -> Skeleton:
        """Pose the figure at every frame.

        Args:
            progress: progress of the action in [0, 1], shape (T,); from 1 to 2 the figure goes back to the first pose.
            shape: measures of the figure.
            style: how this person moves; its wobble has T rows.

        Returns:
            Joints of shape (T, 3).
        """
        table = np.array(list(self.controls.values())).T
        progress = np.asarray(progress, dtype=np.float64)
        values = PchipInterpolator(self.borders, table)(progress.clip(max=1.0))
        back = (progress - 1).clip(min=0.0)[:, None]
        values += back**2 * (3 - 2 * back) * (table[0] - table[-1])
        skeleton = Skeleton(shape)
        self.build(skeleton, dict(zip(self.controls, values.T, strict=True)), style)
        return skeleton

    def phase_of(self, progress: np.ndarray) -> np.ndarray:
        """Phase index of each progress value in [0, 1]; a border opens the next phase. Same shape, int16."""
        return np.searchsorted(self.borders[1:-1], progress, side="right").astype(np.int16)


def _bench_press(rig: Skeleton, control: Controls, style: Style) -> None:
    body = rig.shape
    arch = 0.05 + style.habit * 0.01 * control["arch"]
    neck = at(-0.25, PAD_HEIGHT + 0.115 * body.bulk + 0.3 * arch)
    rig.trunk(neck, np.pi + 0.3 * arch - 0.01, bend=-arch, head=np.radians(style.habit * control["head"] - 4))
    height = 0.15 + style.depth * control["height"] * (0.965 * body.arm - 0.15) + (1 - style.depth) * 0.4
    rig.bar = bar = neck + at(body.torso * control["forward"] + 0.004 * style.wobble[:, 0], height)
    foot = ahead(-np.radians(style.habit * control["heel"]))
    for suffix, sign in SIDES:
        hand = bar + side(sign * (body.shoulders + 0.5 * style.grip + 0.06))
        rig.reach(suffix, hand, pole=np.array([0.35, -1.0, sign * 0.9]))
        ball = np.array([0.62 + 0.45 * body.thigh, 0.05, sign * 0.24])
        rig.stand(suffix, ball - body.foot * foot, pole=np.array([0.5, 1.0, sign * 0.25]), foot=foot)


def _deadlift(rig: Skeleton, control: Controls, style: Style) -> None:
    body = rig.shape
    standing = 0.09 + 0.995 * body.leg + body.torso - 0.05
    top = standing - 0.985 * body.arm - PLATE_RADIUS
    rig.bar = at(0.02 + 0.05 * control["bar"], PLATE_RADIUS + top * control["bar"])
    # The hands follow a bar of their own: the real one while they grip it, a place above it before and after.
    grip = at(0.02 + 0.05 * control["grip"] + control["aside"], PLATE_RADIUS + top * control["grip"])
    shoulder = grip + at(0.01 * control["lean"] - control["aside"], 0.985 * body.arm + 0.004 * style.wobble[:, 0])
    angle = np.radians(control["angle"]) + style.lean * np.cos(np.radians(control["angle"]))
    bend, head = style.habit * 0.01 * control["round"], np.radians(style.habit * control["head"])
    rig.trunk(shoulder + 0.05 * ahead(angle), angle, bend=bend, head=head)
    for suffix, sign in SIDES:
        hand = grip + side(sign * (body.shoulders + 0.3 * style.grip))
        rig.reach(suffix, hand, pole=np.array([-1.0, 0.0, sign * 0.5]))
        foot = ahead(np.full(len(grip), -0.25)) + side(sign * 0.25)
        rig.stand(suffix, at(-0.07, 0.09, sign * 0.13), pole=np.array([1.0, 0.1, sign * 0.25]), foot=foot)


def _dips(rig: Skeleton, control: Controls, style: Style) -> None:
    body, wobble = rig.shape, style.wobble
    reach = 0.34 + (0.985 - 0.34) * (1 - style.depth * (1 - control["height"]))
    lean = np.radians(90 - control["lean"]) - style.lean + 0.012 * wobble[:, 0]
    shoulder = at(0.01 * control["forward"], DIP_BAR_HEIGHT + reach * body.arm)
    rig.trunk(shoulder + 0.05 * ahead(lean), lean, bend=0.02, head=np.radians(style.habit * control["head"]))
    swing = np.radians(style.habit * control["hip"]) - 0.35 * (np.pi / 2 - lean) + 0.03 * wobble[:, 1]
    for suffix, sign in SIDES:
        hand = at(0.0, DIP_BAR_HEIGHT, sign * (body.shoulders + 0.3 * style.grip + 0.03))
        rig.reach(suffix, hand, pole=np.array([-1.0, 0.1, sign * 0.3]))
        knee = np.radians(style.habit * control["knee"] + (7 if sign > 0 else -5))
        rig.hang_leg(suffix, swing, knee, point=0.6, spread=0.02)


def _pullups(rig: Skeleton, control: Controls, style: Style) -> None:
    body, wobble = rig.shape, style.wobble
    bar = pullup_bar_height(body)
    reach = 0.10 + (0.985 * body.arm - 0.10) * (1 - style.depth * (1 - control["reach"]))
    angle = np.radians(90 + control["lean"]) + style.lean + 0.015 * wobble[:, 0]
    shoulder = at(-0.01 * control["back"], bar - reach)
    rig.trunk(shoulder + 0.05 * ahead(angle), angle, bend=0.0, head=np.radians(style.habit * control["head"]))
    hip = np.radians(style.habit * control["hip"]) + 0.04 * wobble[:, 1]
    for suffix, sign in SIDES:
        hand = at(0.0, bar, sign * (body.shoulders + style.grip + 0.03))
        rig.reach(suffix, hand, pole=np.array([-0.15, -1.0, sign * 0.7]))
        knee = np.radians(style.habit * control["knee"] + (6 if sign > 0 else -4)) + 0.05 * wobble[:, 2]
        rig.hang_leg(suffix, hip, np.maximum(knee, 0.02), point=0.9, spread=0.015)


def _pushups(rig: Skeleton, control: Controls, style: Style) -> None:
    body = rig.shape
    ankle, palm = at(0.0, 0.6 * body.foot + 0.03), 0.05
    low, high = 0.17, palm + 0.965 * body.arm
    height = low + (high - low) * (1 - style.depth * (1 - control["height"]))
    length = body.torso + body.leg - 0.05
    rise = np.arcsin((height - ankle[1]) / length)
    hip_off = 0.01 * style.habit * control["pike"] + 0.006 * style.wobble[:, 0]
    shoulder = ankle + length * ahead(rise)
    trunk = shoulder - (ankle + 0.995 * body.leg * ahead(rise + hip_off / body.leg))
    angle = np.arctan2(trunk[:, 1], trunk[:, 0])
    rig.trunk(shoulder + 0.05 * ahead(angle), angle, bend=0.015, head=np.radians(style.habit * control["head"]))
    planted = length * np.cos(np.arcsin((high - ankle[1]) / length)) + 0.02
    flare = control["flare"]
    for suffix, sign in SIDES:
        hand = at(planted, palm, sign * (body.shoulders + 0.5 * style.grip))
        rig.reach(suffix, hand, pole=at(-np.cos(flare), 0.25, sign * np.sin(flare)))
        foot = ahead(-1.25 + 0.15 * rise)
        rig.stand(suffix, ankle + side(sign * 0.09), pole=np.array([0.0, -1.0, 0.0]), foot=foot)


def pullup_bar_height(body: BodyShape) -> float:
    """Height of the pull-up bar, so that the feet hang clear of the floor, metres."""
    return body.arm + body.torso + body.leg + 0.32


_BUILDERS: dict[str, Builder] = {
    "bench_press": _bench_press,
    "deadlift": _deadlift,
    "dips": _dips,
    "pullups": _pullups,
    "pushups": _pushups,
}
_POSES = yaml.safe_load((Path(__file__).parent / "poses.yaml").read_text(encoding="utf-8"))

ACTION_TABLE: dict[str, Action] = {
    name: Action(tuple(told["borders"]), tuple(told["phases"]), told["controls"], _BUILDERS[name], told["yaw"])
    for name, told in _POSES["actions"].items()
}
"""Every action by name, in the order of the data set."""

FOREIGN: dict[str, Action] = {
    name: Action((0.0, 0.25, 0.5, 0.75, 1.0), ("",) * 4, controls, _BUILDERS[name], ACTION_TABLE[name].yaw)
    for name, controls in _POSES["foreign"].items()
}
"""For each action a movement that is none, at the same equipment: what a search must not take for one."""

ACTIONS: tuple[str, ...] = tuple(ACTION_TABLE)

PHASE_NAMES: dict[str, list[str]] = {name: list(action.phases) for name, action in ACTION_TABLE.items()}
"""Names of the phases of each action, in order."""


def check_actions(names: Sequence[str]) -> None:
    """Check that there is at least one action, and all are known.

    Raises:
        UserError: If not.
    """
    unknown = [name for name in names if name not in ACTION_TABLE]
    if unknown or not names:
        raise UserError(f"Expected actions out of {', '.join(ACTIONS)}, but got {', '.join(unknown) or 'none'}.")
