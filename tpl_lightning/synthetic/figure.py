"""The person: skin, hair and clothes around a skeleton."""

from dataclasses import dataclass

import numpy as np

from tpl_lightning.synthetic.body import SIDES, BodyShape, Skeleton, side
from tpl_lightning.synthetic.canvas import Blob, Colour, Part, colours, limb, shade

SKIN = colours("f4d0b1 e7b88f cd966c a16c48 764c33 583828")
HAIR = colours("261e1c 4a3022 80522c cda462 963c22 96969c")
CLOTH = colours("d03e3a ee7e34 f4be42 5ca860 268a8c 3a76c4 36448c 8054a8 d6628e eceae4 3e424c 7e8692")


@dataclass(frozen=True)
class Outfit:
    """Looks of one person."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    sleeve: float
    """Share of the upper arm that is covered."""
    leg: float
    """Share of thigh and shank that is covered, 0 to 2."""
    long_hair: bool

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Outfit":
        """Draw an outfit whose shirt and trousers differ."""
        shirt, cloth, shoes = (CLOTH[k] for k in rng.choice(len(CLOTH), size=3, replace=False))
        skin, hair = SKIN[rng.integers(len(SKIN))], HAIR[rng.integers(len(HAIR))]
        trousers = shade(cloth, rng.uniform(0.6, 1.0))
        sleeve, leg = float(rng.choice([0.0, 0.5, 0.6])), float(rng.choice([0.55, 0.65, 0.8, 1.8]))
        return cls(skin, hair, shirt, trousers, shoes, sleeve, leg, long_hair=bool(rng.random() < 0.4))


def figure_parts(pose: Skeleton, body: BodyShape, outfit: Outfit) -> list[Part]:
    """Dress a skeleton.

    Args:
        pose: joints over the clip.
        body: measures; thickness follows its ``bulk``.
        outfit: colours.

    Returns:
        Parts to paint: trunk, head, arms and legs.
    """
    parts = [_trunk(pose, body, outfit), *_head(pose, body, outfit)]
    for suffix in ("_r", "_l"):
        parts += [_arm(pose, body, outfit, suffix), _leg(pose, body, outfit, suffix)]
    return parts


def _between(start: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    return start + share * (end - start)


def _trunk(pose: Skeleton, body: BodyShape, outfit: Outfit) -> Part:
    bulk, middle = body.bulk, 0.42
    ribs = [_between(pose["chest"], pose["shoulder" + s], middle) for s in ("_r", "_l")]
    waist = [_between(pose["waist"], pose["waist"] + pose["hip" + s] - pose["pelvis"], 0.6) for s in ("_r", "_l")]
    hips = [pose["hip_r"], pose["hip_l"]]
    shoulders = [_between(pose["shoulder" + s], pose["neck"], 0.12) for s in ("_r", "_l")]
    chest = limb([*shoulders, *ribs], [0.055 * bulk] * 2 + [0.108 * bulk] * 2, outfit.shirt, lit=0.7)
    belly = limb([*ribs, *waist], [0.098 * bulk] * 2 + [0.090 * bulk] * 2, outfit.shirt, lit=0.7)
    seat = limb([*waist, *hips], [0.088 * bulk] * 2 + [0.094 * bulk] * 2, outfit.trousers, lit=0.7)
    neck = limb([pose["neck"], _between(pose["neck"], pose["head"], 0.6)], [0.058 * bulk**0.5, 0.05], outfit.skin)
    return Part([neck, seat, belly, chest], np.stack([pose["chest"], pose["pelvis"]], 1))


def _head(pose: Skeleton, body: BodyShape, outfit: Outfit) -> list[Part]:
    """Face and hair, two parts: the face is in front once it turns more than 20 degrees from profile to the camera."""
    head, radius = pose["head"], body.head
    face = (pose["nose"] - head) / radius
    up = (pose["crown"] - head + 0.34 * radius * face) / 0.3
    skull = limb([head, head + 0.35 * radius * face - 0.27 * up], [radius, 0.72 * radius], outfit.skin)
    nose = limb([pose["nose"] - 0.09 * up, pose["nose"] - 0.15 * radius * face], [0.016, 0.02], outfit.skin, lit=0.4)
    fringe_ends = [head + 0.66 * up + side(sign * 0.32 * radius) + 0.2 * radius * face for _, sign in SIDES]
    fringe = limb(fringe_ends, [0.5 * radius] * 2, outfit.hair, lit=0.7)
    back = head - 0.5 * radius * face
    hair = [limb([back + 0.3 * up, back], [0.8 * radius] * 2, outfit.hair, lit=0.7)]
    if outfit.long_hair:
        tail = back - 0.5 * radius * face - 0.36 * up
        hair.insert(0, limb([back - 0.25 * radius * face, tail], [0.5 * radius, 0.3 * radius], outfit.hair, lit=0.7))
    front, rear = head + 0.1 * radius * face, head - 0.1 * radius * face
    return [
        Part([skull, nose, fringe], front[:, None], bias=0.02),
        Part(hair, rear[:, None], bias=0.02 + 0.07 * radius),
    ]


def _arm(pose: Skeleton, body: BodyShape, outfit: Outfit, suffix: str) -> Part:
    shoulder, elbow, hand = (pose[name + suffix] for name in ("shoulder", "elbow", "hand"))
    bulk = body.bulk
    fist, belly, biceps = _between(elbow, hand, 0.93), _between(elbow, hand, 0.3), _between(shoulder, elbow, 0.5)
    blobs = [
        limb([fist, hand], [0.040, 0.044], outfit.skin),
        limb([elbow, belly, hand], [0.040 * bulk, 0.046 * bulk, 0.030 * bulk**0.5], outfit.skin),
        limb([shoulder, biceps, elbow], [0.058 * bulk, 0.054 * bulk, 0.040 * bulk], outfit.skin),
    ]
    if outfit.sleeve > 0:
        hem = _between(shoulder, elbow, outfit.sleeve)
        blobs.append(limb([shoulder, hem], [0.066 * bulk, 0.060 * bulk], outfit.shirt))
    return Part(blobs, np.stack([shoulder, elbow, hand], 1), bias=0.03)


def _leg(pose: Skeleton, body: BodyShape, outfit: Outfit, suffix: str) -> Part:
    hip, knee, ankle, toe = (pose[name + suffix] for name in ("hip", "knee", "ankle", "toe"))
    bulk = body.bulk
    heel, calf = ankle - 0.28 * (toe - ankle), _between(knee, ankle, 0.3)
    sole = 0.35 * (ankle - knee) / body.shank * 0.1
    blobs: list[Blob] = [
        limb([heel + sole, ankle + sole, toe + sole], [0.038, 0.046, 0.034], outfit.shoes),
        limb([knee, calf, ankle], [0.055 * bulk, 0.058 * bulk, 0.036 * bulk**0.5], outfit.skin),
        limb([hip, _between(hip, knee, 0.4), knee], [0.088 * bulk, 0.084 * bulk, 0.056 * bulk], outfit.skin),
    ]
    if outfit.leg > 1:
        cuff = _between(knee, ankle, outfit.leg - 1)
        blobs.append(limb([knee, calf, cuff], [0.063 * bulk, 0.065 * bulk, 0.047 * bulk], outfit.trousers))
    share = min(outfit.leg, 1.0)
    end = 0.094 * bulk * (1 - share) + 0.066 * bulk * share
    thigh = [hip, _between(hip, knee, 0.4 * share), _between(hip, knee, share)]
    blobs.append(limb(thigh, [0.094 * bulk, 0.09 * bulk, end], outfit.trousers))
    return Part(blobs, np.stack([hip, knee, ankle], 1))
