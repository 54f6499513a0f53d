"""What the actions are done on: bench, barbell, dip bars, pull-up frame, mat."""

from dataclasses import dataclass

import numpy as np

from tpl_lightning.synthetic.actions import DIP_BAR_HEIGHT, PAD_HEIGHT, PLATE_RADIUS, pullup_bar_height
from tpl_lightning.synthetic.body import BodyShape, Skeleton, at, side
from tpl_lightning.synthetic.canvas import Blob, Colour, Part, box, colours, disc, limb, shade

STEEL = colours("969ca4 606670 3a3c42 b0aca0")
PAINT = colours("34363e be3834 2c60a8 e2ae34 46845c e2e4e6")


@dataclass(frozen=True)
class Gear:
    """Colours of the equipment."""

    steel: Colour
    frame: Colour
    pad: Colour
    plate: Colour
    collar: Colour
    num_plates: int

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Gear":
        """Draw the colours of the equipment."""
        frame, pad, plate, collar = (PAINT[k] for k in rng.choice(len(PAINT), size=4, replace=False))
        steel, num_plates = STEEL[rng.integers(len(STEEL))], int(rng.integers(1, 3))
        return cls(steel, frame, pad, plate, collar, num_plates)


def equipment_parts(action: str, pose: Skeleton, body: BodyShape, gear: Gear) -> list[Part]:
    """Build what an action needs.

    Args:
        action: name of the action.
        pose: the skeleton, for the bar it moves and the number of frames.
        body: measures, as frames are set up for the person.
        gear: colours.

    Returns:
        Parts to paint.
    """
    num_frames = len(pose["pelvis"])
    if action == "bench_press":
        return [*_bench(num_frames, gear), *_barbell(pose, gear, radius=0.135, inner=0.52)]
    if action == "deadlift":
        return _barbell(pose, gear, radius=PLATE_RADIUS, inner=0.50)
    frames = {"dips": _dip_bars, "pullups": _pullup_frame}
    return frames[action](num_frames, body, gear) if action in frames else []


Point = tuple[float, float, float]


def _tubes(lines: list[tuple[Point, Point, float]], colour: Colour, num_frames: int) -> list[Blob]:
    """Tubes that stand still, each from a point to another, of a radius in metres."""
    still = [(np.broadcast_to(np.array([start, end]), (num_frames, 2, 3)), radius) for start, end, radius in lines]
    return [Blob(ends, np.array([radius, radius]), colour, 0.8) for ends, radius in still]


def _bench(num_frames: int, gear: Gear) -> list[Part]:
    top, radius = PAD_HEIGHT, 0.024
    legs = [((x, 0.02, -0.18), (x, 0.02, 0.18), radius) for x in (-0.55, 0.30)]
    legs += [((x, 0.03, 0.0), (x, top - 0.06, 0.0), radius) for x in (-0.55, 0.30)]
    pad = [
        box((-0.72, top - thickness, -0.14), (0.42, top, 0.14), colour, num_frames)
        for thickness, colour in ((0.075, shade(gear.pad, 0.72)), (0.012, gear.pad))
    ]
    parts = [Part(_tubes(legs, gear.frame, num_frames), bias=-0.4), Part(pad, pad[0].centres, bias=-0.5)]
    for z in (-0.42, 0.42):
        foot = ((-0.78, 0.02, z), (-0.42, 0.02, z), radius)
        post = ((-0.62, 0.02, z), (-0.62, 1.05, z), radius)
        hook = ((-0.62, 0.98, z), (-0.54, 1.0, z), radius)
        parts.append(Part(_tubes([foot, post, hook], gear.frame, num_frames)))
    return parts


def _barbell(pose: Skeleton, gear: Gear, *, radius: float, inner: float) -> list[Part]:
    bar = pose.bar
    assert bar is not None, "an action with a barbell must say where it is"
    shaft = limb([bar + side(-inner), bar + side(inner)], [0.016, 0.016], gear.steel, lit=0.8)
    parts = [Part([shaft], bar[:, None], bias=0.12)]
    for sign in (-1.0, 1.0):
        sleeve = [bar + side(sign * inner), bar + side(sign * (inner + 0.22))]
        blobs = [limb(sleeve, [0.022, 0.022], gear.steel)]
        # The outer plate hides the inner one only on the far side; seen from there the order is the other way round.
        for plate in range(gear.num_plates)[:: int(sign)]:
            size = radius * (1.0 - 0.25 * plate)
            middle = bar + side(sign * (inner + 0.04 + 0.055 * plate))
            colour = gear.plate if plate == 0 else gear.collar
            blobs += [
                disc(middle, size, 0.022, shade(colour, 0.62)),
                disc(middle + side(0.022), size, 0.001, colour),
                disc(middle + side(0.023), 0.62 * size, 0.001, shade(colour, 0.86)),
                disc(middle + side(0.024), 0.24 * size, 0.001, gear.steel),
            ]
        parts.append(Part(blobs, (bar + side(sign * (inner + 0.08)))[:, None]))
    return parts


def _dip_bars(num_frames: int, body: BodyShape, gear: Gear) -> list[Part]:
    parts = []
    for sign in (-1.0, 1.0):
        z, top = sign * (body.shoulders + 0.065), DIP_BAR_HEIGHT - 0.035
        foot = sign * (body.shoulders + 0.20)
        frame = [
            ((-0.62, 0.03, foot), (0.38, 0.03, foot), 0.030),
            ((-0.52, 0.03, foot), (-0.52, top, z), 0.028),
            ((0.30, 0.03, foot), (0.30, top - 0.30, foot), 0.028),
            ((0.30, top - 0.30, foot), (0.24, top, z), 0.028),
        ]
        grip = [((-0.54, top, z), (0.28, top, z), 0.026)]
        blobs = _tubes(frame, gear.frame, num_frames) + _tubes(grip, gear.steel, num_frames)
        anchor = np.broadcast_to(at(0.0, top, sign * 0.3), (num_frames, 1, 3))
        parts.append(Part(blobs, anchor, bias=0.1 * sign))
    return parts


def _pullup_frame(num_frames: int, body: BodyShape, gear: Gear) -> list[Part]:
    top, wide, parts = pullup_bar_height(body), 0.72, []
    for z in (-wide, wide):
        post = [((-0.42, 0.03, z), (0.42, 0.03, z), 0.034), ((0.0, 0.03, z), (0.0, top + 0.03, z), 0.034)]
        parts.append(Part(_tubes(post, gear.frame, num_frames)))
    bar = _tubes([((0.0, top, -wide), (0.0, top, wide), 0.020)], gear.steel, num_frames)
    return [*parts, Part(bar, bias=0.05)]
