"""What the actions are done on: bench, barbell, dip bars, pull-up frame, mat."""

from dataclasses import dataclass

import numpy as np

from tpl_lightning.synthetic.actions import DIP_BAR_HEIGHT, PAD_HEIGHT, PLATE_RADIUS, pullup_bar_height
from tpl_lightning.synthetic.body import BodyShape, Skeleton, side
from tpl_lightning.synthetic.canvas import Blob, Colour, Part, box, disc, limb, shade

STEEL: tuple[Colour, ...] = ((150, 156, 164), (96, 102, 112), (58, 60, 66), (176, 172, 160))
PAINT: tuple[Colour, ...] = ((52, 54, 62), (190, 56, 52), (44, 96, 168), (226, 174, 52), (70, 132, 92), (226, 228, 230))


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
        """Draw the colours of the equipment.

        Args:
            rng: source of randomness.

        Returns:
            The colours.
        """
        frame, pad, plate, collar = rng.choice(len(PAINT), size=4, replace=False)
        return cls(
            steel=STEEL[rng.integers(len(STEEL))],
            frame=PAINT[frame],
            pad=PAINT[pad],
            plate=PAINT[plate],
            collar=PAINT[collar],
            num_plates=int(rng.integers(1, 3)),
        )


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
    if action == "dips":
        return _dip_bars(num_frames, body, gear)
    if action == "pullups":
        return _pullup_frame(num_frames, body, gear)
    return []


def _still(point: tuple[float, float, float], num_frames: int) -> np.ndarray:
    return np.broadcast_to(np.array(point, dtype=np.float64), (num_frames, 3))


def _tube(
    start: tuple[float, float, float], end: tuple[float, float, float], radius: float, colour: Colour, num_frames: int
) -> Blob:
    return limb([_still(start, num_frames), _still(end, num_frames)], [radius, radius], colour, lit=0.8)


def _part(blobs: list[Blob], *, bias: float = 0.0) -> Part:
    return Part(blobs, np.concatenate([blob.centres for blob in blobs], axis=1), bias=bias)


def _bench(num_frames: int, gear: Gear) -> list[Part]:
    def tube(start: tuple[float, float, float], end: tuple[float, float, float]) -> Blob:
        return _tube(start, end, 0.024, gear.frame, num_frames)

    top = PAD_HEIGHT
    legs = [tube((x, 0.02, -0.18), (x, 0.02, 0.18)) for x in (-0.55, 0.30)]
    legs += [tube((x, 0.03, 0.0), (x, top - 0.06, 0.0)) for x in (-0.55, 0.30)]
    pad = [
        box((-0.72, top - 0.075, -0.14), (0.42, top, 0.14), shade(gear.pad, 0.72), num_frames),
        box((-0.72, top - 0.012, -0.14), (0.42, top, 0.14), gear.pad, num_frames),
    ]
    parts = [_part(legs, bias=-0.4), Part(pad, pad[0].centres, bias=-0.5)]
    for z in (-0.42, 0.42):
        post = [
            tube((-0.78, 0.02, z), (-0.42, 0.02, z)),
            tube((-0.62, 0.02, z), (-0.62, 1.05, z)),
            tube((-0.62, 0.98, z), (-0.54, 1.0, z)),
        ]
        parts.append(_part(post))
    return parts


def _barbell(pose: Skeleton, gear: Gear, *, radius: float, inner: float) -> list[Part]:
    bar = pose.bar
    assert bar is not None, "an action with a barbell must say where it is"
    shaft = limb([bar + side(-inner), bar + side(inner)], [0.016, 0.016], gear.steel, lit=0.8)
    parts = [Part([shaft], bar[:, None], bias=0.12)]
    for sign in (-1.0, 1.0):
        blobs: list[Blob] = [
            limb([bar + side(sign * inner), bar + side(sign * (inner + 0.22))], [0.022, 0.022], gear.steel)
        ]
        for plate in reversed(range(gear.num_plates)):
            size = radius * (1.0 - 0.25 * plate)
            middle = bar + side(sign * (inner + 0.04 + 0.055 * plate))
            colour = gear.plate if plate == 0 else gear.collar
            blobs += [disc(middle, size, 0.022, shade(colour, 0.62)), disc(middle + side(0.022), size, 0.001, colour)]
            blobs += [
                disc(middle + side(0.023), 0.62 * size, 0.001, shade(colour, 0.86)),
                disc(middle + side(0.024), 0.24 * size, 0.001, gear.steel),
            ]
        # The outer plate hides the inner one only on the far side; seen from there the order is the other way round.
        blobs = blobs if sign < 0 else [blobs[0], *_outwards(blobs[1:])]
        parts.append(Part(blobs, (bar + side(sign * (inner + 0.08)))[:, None]))
    return parts


def _outwards(blobs: list[Blob]) -> list[Blob]:
    groups = [blobs[i : i + 4] for i in range(0, len(blobs), 4)]
    return [blob for group in reversed(groups) for blob in group]


def _dip_bars(num_frames: int, body: BodyShape, gear: Gear) -> list[Part]:
    parts = []
    for sign in (-1.0, 1.0):
        z, top = sign * (body.shoulders + 0.065), DIP_BAR_HEIGHT - 0.035
        foot = sign * (body.shoulders + 0.20)
        frame = [
            _tube((-0.62, 0.03, foot), (0.38, 0.03, foot), 0.030, gear.frame, num_frames),
            _tube((-0.52, 0.03, foot), (-0.52, top, z), 0.028, gear.frame, num_frames),
            _tube((0.30, 0.03, foot), (0.30, top - 0.30, foot), 0.028, gear.frame, num_frames),
            _tube((0.30, top - 0.30, foot), (0.24, top, z), 0.028, gear.frame, num_frames),
        ]
        grip = _tube((-0.54, top, z), (0.28, top, z), 0.026, gear.steel, num_frames)
        part = _part([*frame, grip], bias=0.1 * sign)
        part.anchor = _still((0.0, top, sign * 0.3), num_frames)[:, None]
        parts.append(part)
    return parts


def _pullup_frame(num_frames: int, body: BodyShape, gear: Gear) -> list[Part]:
    top, wide = pullup_bar_height(body), 0.72
    parts = []
    for sign in (-1.0, 1.0):
        post = [
            _tube((-0.42, 0.03, sign * wide), (0.42, 0.03, sign * wide), 0.034, gear.frame, num_frames),
            _tube((0.0, 0.03, sign * wide), (0.0, top + 0.03, sign * wide), 0.034, gear.frame, num_frames),
        ]
        parts.append(_part(post))
    bar = _tube((0.0, top, -wide), (0.0, top, wide), 0.020, gear.steel, num_frames)
    parts.append(Part([bar], bar.centres, bias=0.05))
    return parts
