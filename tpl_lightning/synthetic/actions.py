"""The five actions: key poses at fixed values of progress, and the skeleton that they drive.

Each action is a table. Its columns are key poses, one at every phase border, so a phase is what happens between two
key poses. Its rows are controls such as a joint angle or how far the bar is from the chest; monotone cubic
interpolation (PCHIP) runs through the columns, so nothing overshoots. Going up does not retrace going down: people
use their legs, head and back differently, and the tables say how.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from tpl_lightning.synthetic.body import BodyShape, Rig, Skeleton, ahead, side

SIDES = (("_r", 1.0), ("_l", -1.0))

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
        return cls(
            depth=rng.uniform(0.93, 1.0),
            habit=rng.uniform(0.75, 1.25),
            grip=rng.uniform(0.06, 0.14),
            lean=rng.uniform(-0.05, 0.05),
            wobble=waves[:, :4] + waves[:, 4:],
        )


@dataclass(frozen=True)
class Action:
    """One action: phases, key poses and the function that builds the skeleton."""

    borders: tuple[float, ...]
    """Progress at the key poses, from 0 to 1; phase ``k`` runs from ``borders[k]`` to ``borders[k + 1]``."""
    phases: tuple[str, ...]
    """Names of the phases in order."""
    controls: dict[str, tuple[float, ...]]
    """Value of each control at each key pose; angles in degrees."""
    build: Callable[[dict[str, np.ndarray], BodyShape, Style], Skeleton]
    """Skeleton from the controls, each of shape (T,)."""
    yaw: float
    """Usual direction of the camera: degrees from the figure's right side towards its front."""

    def skeleton(self, progress: np.ndarray, shape: BodyShape, style: Style) -> Skeleton:
        """Pose the figure at every frame.

        Args:
            progress: progress of the action in [0, 1], shape (T,).
            shape: measures of the figure.
            style: how this person moves; its wobble has T rows.

        Returns:
            Joints of shape (T, 3).
        """
        table = np.array(list(self.controls.values())).T
        values = PchipInterpolator(self.borders, table)(np.asarray(progress, dtype=np.float64))
        return self.build(dict(zip(self.controls, values.T, strict=True)), shape, style)

    def phase_of(self, progress: np.ndarray) -> np.ndarray:
        """Phase index of each progress value in [0, 1]; a border opens the next phase. Same shape, int16."""
        return np.searchsorted(self.borders[1:-1], progress, side="right").astype(np.int16)


def _bench_press(control: dict[str, np.ndarray], body: BodyShape, style: Style) -> Skeleton:
    rig, wobble = Rig(body), style.wobble
    arch = 0.05 + style.habit * 0.01 * control["arch"]
    zero = np.zeros_like(arch)
    neck = np.stack([zero - 0.25, zero + PAD_HEIGHT + 0.115 * body.bulk + 0.3 * arch, zero], -1)
    rig.trunk(neck, np.pi + 0.3 * arch - 0.01, bend=-arch, head=np.radians(style.habit * control["head"] - 4))
    height = 0.15 + style.depth * control["height"] * (0.965 * body.arm - 0.15) + (1 - style.depth) * 0.4
    bar = neck + np.stack([body.torso * control["forward"] + 0.004 * wobble[:, 0], height, zero], -1)
    lift = np.radians(style.habit * control["heel"])
    for suffix, sign in SIDES:
        rig.reach(
            suffix,
            bar + side(sign * (body.shoulders + 0.5 * style.grip + 0.06)),
            pole=np.array([0.35, -1.0, sign * 0.9]),
        )
        foot = ahead(-lift)
        ball = np.array([0.62 + 0.45 * body.thigh, 0.05, sign * 0.24])
        rig.stand(suffix, ball - body.foot * foot + side(0.0), pole=np.array([0.5, 1.0, sign * 0.25]), foot=foot)
    return rig.finish(bar=bar)


def _deadlift(control: dict[str, np.ndarray], body: BodyShape, style: Style) -> Skeleton:
    rig, wobble = Rig(body), style.wobble
    zero = np.zeros_like(control["bar"])
    standing = 0.09 + 0.995 * body.leg + body.torso - 0.05
    top = standing - 0.985 * body.arm - PLATE_RADIUS
    bar = np.stack([0.02 + 0.05 * control["bar"], PLATE_RADIUS + top * control["bar"], zero], -1)
    # The hands follow a bar of their own: the real one while they grip it, a place above it before and after.
    grip = np.stack([0.02 + 0.05 * control["grip"] + control["aside"], PLATE_RADIUS + top * control["grip"], zero], -1)
    shoulder = grip + np.stack(
        [0.01 * control["lean"] - control["aside"], zero + 0.985 * body.arm + 0.004 * wobble[:, 0], zero], -1
    )
    angle = np.radians(control["angle"]) + style.lean * np.cos(np.radians(control["angle"]))
    neck = shoulder + 0.05 * ahead(angle)
    rig.trunk(neck, angle, bend=style.habit * 0.01 * control["round"], head=np.radians(style.habit * control["head"]))
    wide = body.shoulders + 0.3 * style.grip
    for suffix, sign in SIDES:
        rig.reach(suffix, grip + side(sign * wide), pole=np.array([-1.0, 0.0, sign * 0.5]))
        ankle = np.array([-0.07, 0.09, sign * 0.13]) + 0 * grip
        rig.stand(suffix, ankle, pole=np.array([1.0, 0.1, sign * 0.25]), foot=ahead(zero - 0.25) + side(sign * 0.25))
    return rig.finish(bar=bar)


def _dips(control: dict[str, np.ndarray], body: BodyShape, style: Style) -> Skeleton:
    rig, wobble = Rig(body), style.wobble
    reach = 0.34 + (0.985 - 0.34) * (1 - style.depth * (1 - control["height"]))
    lean = np.radians(90 - control["lean"]) - style.lean + 0.012 * wobble[:, 0]
    shoulder = np.stack([0.01 * control["forward"], DIP_BAR_HEIGHT + reach * body.arm, 0 * lean], -1)
    rig.trunk(shoulder + 0.05 * ahead(lean), lean, bend=0.02 + 0 * lean, head=np.radians(style.habit * control["head"]))
    for suffix, sign in SIDES:
        hand = np.array([0.0, DIP_BAR_HEIGHT, sign * (body.shoulders + 0.3 * style.grip + 0.03)]) + 0 * shoulder
        rig.reach(suffix, hand, pole=np.array([-1.0, 0.1, sign * 0.3]))
        swing = np.radians(style.habit * control["hip"]) - 0.35 * (np.pi / 2 - lean) + 0.03 * wobble[:, 1]
        knee = np.radians(style.habit * control["knee"] + (7 if sign > 0 else -5))
        rig.hang_leg(suffix, swing, knee, point=0.6, spread=0.02)
    return rig.finish()


def _pullups(control: dict[str, np.ndarray], body: BodyShape, style: Style) -> Skeleton:
    rig, wobble = Rig(body), style.wobble
    bar = pullup_bar_height(body)
    reach = 0.10 + (0.985 * body.arm - 0.10) * (1 - style.depth * (1 - control["reach"]))
    angle = np.radians(90 + control["lean"]) + style.lean + 0.015 * wobble[:, 0]
    shoulder = np.stack([-0.01 * control["back"], bar - reach, 0 * reach], -1)
    rig.trunk(shoulder + 0.05 * ahead(angle), angle, bend=0 * reach, head=np.radians(style.habit * control["head"]))
    for suffix, sign in SIDES:
        hand = np.array([0.0, bar, sign * (body.shoulders + style.grip + 0.03)]) + 0 * shoulder
        rig.reach(suffix, hand, pole=np.array([-0.15, -1.0, sign * 0.7]))
        hip = np.radians(style.habit * control["hip"]) + 0.04 * wobble[:, 1]
        knee = np.radians(style.habit * control["knee"] + (6 if sign > 0 else -4)) + 0.05 * wobble[:, 2]
        rig.hang_leg(suffix, hip, np.maximum(knee, 0.02), point=0.9, spread=0.015)
    return rig.finish()


def _pushups(control: dict[str, np.ndarray], body: BodyShape, style: Style) -> Skeleton:
    rig, wobble = Rig(body), style.wobble
    ankle_height, palm = 0.6 * body.foot + 0.03, 0.05
    low, high = 0.17, palm + 0.965 * body.arm
    height = low + (high - low) * (1 - style.depth * (1 - control["height"]))
    length = body.torso + body.leg - 0.05
    rise = np.arcsin((height - ankle_height) / length)
    hip_off = 0.01 * style.habit * control["pike"] + 0.006 * wobble[:, 0]
    ankle = np.array([0.0, ankle_height, 0.0])
    shoulder = ankle + length * ahead(rise)
    pelvis = ankle + 0.995 * body.leg * ahead(rise + hip_off / body.leg)
    trunk = shoulder - pelvis
    angle = np.arctan2(trunk[:, 1], trunk[:, 0])
    rig.trunk(
        shoulder + 0.05 * ahead(angle), angle, bend=0.015 + 0 * angle, head=np.radians(style.habit * control["head"])
    )
    planted = length * np.cos(np.arcsin((high - ankle_height) / length)) + 0.02
    flare = control["flare"]
    for suffix, sign in SIDES:
        hand = np.array([planted, palm, sign * (body.shoulders + 0.5 * style.grip)]) + 0 * shoulder
        pole = np.stack([-np.cos(flare), 0.25 + 0 * flare, sign * np.sin(flare)], -1)
        rig.reach(suffix, hand, pole=pole)
        place = ankle + side(sign * 0.09) + 0 * shoulder
        rig.stand(suffix, place, pole=np.array([0.0, -1.0, 0.0]), foot=ahead(-1.25 + 0.15 * rise))
    return rig.finish()


def pullup_bar_height(body: BodyShape) -> float:
    """Height of the pull-up bar, so that the feet hang clear of the floor, metres."""
    return body.arm + body.torso + body.leg + 0.32


ACTION_TABLE: dict[str, Action] = {
    "bench_press": Action(
        borders=(0.0, 0.10, 0.28, 0.46, 0.54, 0.72, 0.90, 1.0),
        phases=(
            "arms straight before lowering",
            "upper half of lowering",
            "lower half of lowering",
            "pause at the chest",
            "lower half of press",
            "upper half of press",
            "lockout",
        ),
        controls={
            "height": (1.0, 0.97, 0.50, 0.02, 0.0, 0.52, 0.97, 1.0),
            # The bar comes down to the lower chest and goes back over the face before it goes up.
            "forward": (0.10, 0.12, 0.34, 0.50, 0.50, 0.24, 0.04, 0.02),
            "arch": (0, 1, 3, 4, 7, 9, 5, 0),
            "head": (0, 0, -4, -12, -6, 6, 4, 0),
            "heel": (0, 0, 6, 14, 22, 34, 14, 0),
        },
        build=_bench_press,
        yaw=38.0,
    ),
    "deadlift": Action(
        borders=(0.0, 0.14, 0.30, 0.46, 0.56, 0.70, 0.86, 1.0),
        phases=(
            "set-up, bar on floor",
            "pull from floor to knees",
            "knees to lockout",
            "top hold",
            "lowering to knees",
            "lowering to floor",
            "hands off, standing up",
        ),
        controls={
            "bar": (0.0, 0.0, 0.42, 1.0, 1.0, 0.46, 0.0, 0.0),
            "grip": (0.38, 0.0, 0.42, 1.0, 1.0, 0.46, 0.0, 0.97),
            "aside": (0.10, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.10),
            "lean": (0, 5, 4, -8, -9, 8, 7, -8),
            "angle": (38, 36, 46, 90, 94, 30, 22, 90),
            "round": (3, 1, 1, 0, -2, 1, 5, 1),
            "head": (-12, 30, 26, 0, 14, 6, -18, 0),
        },
        build=_deadlift,
        yaw=48.0,
    ),
    "dips": Action(
        borders=(0.0, 0.25, 0.44, 0.54, 0.74, 0.92, 1.0),
        phases=(
            "support and upper half of lowering",
            "lower half of lowering",
            "turn at the bottom",
            "lower half of press",
            "upper half of press",
            "top support",
        ),
        controls={
            "height": (1.0, 0.52, 0.02, 0.0, 0.50, 0.97, 1.0),
            "lean": (4, 22, 33, 30, 17, 6, 1),
            "forward": (2, 9, 13, 12, 7, 3, 1),
            "hip": (2, -6, 0, 14, 34, 20, 4),
            "knee": (18, 62, 95, 88, 58, 26, 8),
            "head": (-6, 6, 16, 4, -14, -10, 0),
        },
        build=_dips,
        yaw=38.0,
    ),
    "pullups": Action(
        borders=(0.0, 0.10, 0.30, 0.48, 0.58, 0.76, 0.92, 1.0),
        phases=(
            "hang before the pull",
            "lower half of pull",
            "upper half of pull",
            "chin above bar",
            "upper half of lowering",
            "lower half of lowering",
            "hang after the pull",
        ),
        controls={
            "reach": (1.0, 0.98, 0.52, 0.02, 0.0, 0.50, 0.97, 1.0),
            "lean": (0, 3, 16, 14, 7, 2, -3, 0),
            "back": (2, 4, 13, 16, 16, 10, 4, 2),
            "hip": (2, 8, 44, 32, 8, -8, -10, -2),
            "knee": (4, 12, 70, 84, 88, 74, 52, 34),
            "head": (4, 24, 26, 4, -12, -16, -6, 0),
        },
        build=_pullups,
        yaw=56.0,
    ),
    "pushups": Action(
        borders=(0.0, 0.26, 0.44, 0.54, 0.72, 0.90, 1.0),
        phases=(
            "plank and upper half of lowering",
            "lower half of lowering",
            "hold at the bottom",
            "lower half of push",
            "upper half of push",
            "top plank",
        ),
        controls={
            "height": (1.0, 0.50, 0.02, 0.0, 0.46, 0.96, 1.0),
            "pike": (1, 2, 1, -1, -7, -4, 4),
            "head": (22, 30, 24, 4, -6, -14, -2),
            "flare": (0.5, 0.55, 0.6, 0.75, 1.0, 0.9, 0.6),
        },
        build=_pushups,
        yaw=24.0,
    ),
}
"""Every action by name, in the order of the data set."""

ACTIONS: tuple[str, ...] = tuple(ACTION_TABLE)

PHASE_NAMES: dict[str, list[str]] = {name: list(action.phases) for name, action in ACTION_TABLE.items()}
"""Names of the phases of each action, in order."""
