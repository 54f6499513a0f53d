"""The articulated figure: its measures, and how limbs reach where the key poses put hands and feet.

World axes: x to the right, y up, z towards a viewer in front; the figure faces +x, so its right side is at +z.
Lengths are in metres. All functions work on whole clips: a position is an array of shape (T, 3).
"""

from dataclasses import dataclass

import numpy as np

SIDES = (("_r", 1.0), ("_l", -1.0))
"""Suffix of the joints of either side, and its sign along z."""


@dataclass(frozen=True)
class BodyShape:
    """Measures of one figure, in metres."""

    torso: float
    """Hips to the base of the neck."""
    neck: float
    """Base of the neck to the centre of the head."""
    head: float
    """Radius of the head."""
    upper_arm: float
    forearm: float
    """Elbow to the grip of the hand."""
    thigh: float
    shank: float
    """Knee to ankle."""
    foot: float
    """Ankle to the ball of the foot."""
    shoulders: float
    """Half of the distance between the shoulders."""
    hips: float
    """Half of the distance between the hip joints."""
    bulk: float
    """Factor on the thickness of all limbs."""

    @property
    def arm(self) -> float:
        """Reach of a straight arm."""
        return self.upper_arm + self.forearm

    @property
    def leg(self) -> float:
        """Reach of a straight leg, hip to ankle."""
        return self.thigh + self.shank

    @classmethod
    def random(cls, rng: np.random.Generator) -> "BodyShape":
        """Draw the measures of a person: height, proportions and build vary.

        Args:
            rng: source of randomness.

        Returns:
            The measures.
        """
        height = rng.uniform(0.92, 1.08)
        proportion = rng.uniform(0.95, 1.05, size=6)
        build = rng.uniform(0.85, 1.2)
        return cls(
            torso=0.50 * height * proportion[0],
            neck=0.215 * height,
            head=0.112 * height**0.5,
            upper_arm=0.305 * height * proportion[1],
            forearm=0.325 * height * proportion[2],
            thigh=0.44 * height * proportion[3],
            shank=0.43 * height * proportion[4],
            foot=0.16 * height,
            shoulders=0.175 * height * proportion[5] * (0.7 + 0.3 * build),
            hips=0.095 * height,
            bulk=build,
        )


def side(value: float) -> np.ndarray:
    """Offset along the axis from the left to the right side of the figure, shape (3,)."""
    return at(0.0, 0.0, value)


def at(x: np.ndarray | float, y: np.ndarray | float, z: np.ndarray | float = 0.0) -> np.ndarray:
    """Positions of these coordinates, each a number or of shape (T,): shape (T, 3), or (3,) of numbers alone."""
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


def ahead(angle: np.ndarray) -> np.ndarray:
    """Unit vectors in the x-y plane at an angle.

    Args:
        angle: radians from +x towards +y, shape (T,).

    Returns:
        Vectors of shape (T, 3).
    """
    return at(np.cos(angle), np.sin(angle))


def two_bone(
    root: np.ndarray, target: np.ndarray, *, first: float, second: float, pole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Place the middle joint of a limb of two bones whose end should reach a target.

    With the distance :math:`d` from root to target, the joint lies :math:`(a^2 - b^2 + d^2) / 2d` along the line
    between them (law of cosines) and off it towards the pole. A target out of reach is replaced by the nearest point
    that can be reached.

    Args:
        root: shoulder or hip, shape (T, 3).
        target: wished place of hand or ankle, shape (T, 3).
        first: length of the bone at the root.
        second: length of the bone at the end.
        pole: direction in which the joint should point, not parallel to the limb, broadcastable to (T, 3).

    Returns:
        The joint and the end that was reached, both of shape (T, 3).
    """
    line = target - root
    distance = np.linalg.norm(line, axis=-1, keepdims=True)
    line = line / np.maximum(distance, 1e-9)
    # Never fully straight: a limb that locks would snap, as the joint moves with the square root of the slack.
    distance = np.clip(distance, abs(first - second) + 1e-3, 0.998 * (first + second))
    along = (first**2 - second**2 + distance**2) / (2.0 * distance)
    height = np.sqrt(np.maximum(first**2 - along**2, 0.0))
    off = pole - np.sum(pole * line, axis=-1, keepdims=True) * line
    off = off / np.maximum(np.linalg.norm(off, axis=-1, keepdims=True), 1e-9)
    return root + along * line + height * off, root + distance * line


class Skeleton:
    """Joints of a figure through a clip, placed from the trunk outwards, plus what it holds.

    Attributes:
        joints: ``pelvis``, ``waist``, ``chest``, ``neck``, ``head``, ``nose``, ``crown`` and, with the suffixes ``_r``
            and ``_l``, ``shoulder``, ``elbow``, ``hand``, ``hip``, ``knee``, ``ankle``, ``toe``: positions (T, 3).
        bar: Middle of the bar that the figure moves, shape (T, 3), if there is one.
    """

    def __init__(self, shape: BodyShape) -> None:
        """Start a skeleton for a body of this shape."""
        self.shape = shape
        self.joints: dict[str, np.ndarray] = {}
        self.bar: np.ndarray | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        """Positions of one joint, shape (T, 3)."""
        return self.joints[name]

    def trunk(self, neck: np.ndarray, angle: np.ndarray, *, bend: np.ndarray | float, head: np.ndarray) -> None:
        """Place trunk and head.

        Args:
            neck: base of the neck, midway between the shoulders, shape (T, 3).
            angle: direction from pelvis to neck, radians from +x towards +y, shape (T,).
            bend: how far the waist lies off the straight line, in metres towards the back, shape (T,), or a number.
            head: how far the head is tipped back from the line of the trunk, radians, shape (T,).
        """
        body, up = self.shape, ahead(angle)
        back = -np.reshape(bend, (-1, 1)) * ahead(angle - np.pi / 2)
        pelvis = neck - body.torso * up
        head_up = ahead(angle + head)
        face = ahead(angle + head - np.pi / 2)
        centre = neck + body.neck * head_up
        self.joints |= {
            "neck": neck,
            "pelvis": pelvis,
            "waist": pelvis + 0.36 * body.torso * up + back,
            "chest": pelvis + 0.74 * body.torso * up + 0.5 * back,
            "head": centre,
            "nose": centre + face * body.head,
            "crown": centre + body.head * (0.30 * head_up - 0.34 * face),
        }
        for suffix, sign in SIDES:
            self.joints["shoulder" + suffix] = neck - 0.05 * up + side(sign * body.shoulders)
            self.joints["hip" + suffix] = pelvis + side(sign * body.hips)

    def reach(self, suffix: str, target: np.ndarray, *, pole: np.ndarray) -> None:
        """Reach a target with the hand of one side, the elbow towards ``pole``."""
        body, root = self.shape, self.joints["shoulder" + suffix]
        elbow, hand = two_bone(root, target, first=body.upper_arm, second=body.forearm, pole=pole)
        self.joints["elbow" + suffix], self.joints["hand" + suffix] = elbow, hand

    def stand(self, suffix: str, ankle: np.ndarray, *, pole: np.ndarray, foot: np.ndarray) -> None:
        """Put the ankle of one side on a target, the knee towards ``pole``, the foot in the direction ``foot``."""
        body, root = self.shape, self.joints["hip" + suffix]
        knee, end = two_bone(root, ankle, first=body.thigh, second=body.shank, pole=pole)
        self.joints |= {"knee" + suffix: knee, "ankle" + suffix: end, "toe" + suffix: end + body.foot * foot}

    def hang_leg(self, suffix: str, hip: np.ndarray, knee: np.ndarray, *, point: float, spread: float) -> None:
        """Let the leg of one side hang at joint angles.

        Args:
            suffix: ``"_r"`` or ``"_l"``.
            hip: angle of the thigh from straight down, forwards positive, radians, shape (T,).
            knee: how far the knee is bent, radians, shape (T,).
            point: how far the foot points down from a right angle with the shank, radians.
            spread: how far the knee moves outwards, metres.
        """
        body, root = self.shape, self.joints["hip" + suffix]
        outwards = side(spread if suffix == "_r" else -spread)
        joint = root + body.thigh * ahead(hip - np.pi / 2) + outwards
        shank = hip - knee - np.pi / 2
        ankle = joint + body.shank * ahead(shank)
        toe = ankle + body.foot * ahead(shank + np.pi / 2 - point)
        self.joints |= {"knee" + suffix: joint, "ankle" + suffix: ankle, "toe" + suffix: toe}
