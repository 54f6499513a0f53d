"""Equipment where the action needs it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.synthetic.looks import posed
from tpl_lightning.synthetic.actions import PAD_HEIGHT, PLATE_RADIUS
from tpl_lightning.synthetic.equipment import PAINT, STEEL, Gear, equipment_parts

GEAR = Gear((90, 0, 0), (0, 90, 0), (0, 0, 90), (90, 90, 0), (0, 90, 90), num_plates=2)  # hues stay in any shade


def blobs(action, *, gear=GEAR, colour=None):
    pose, body = posed(action)
    found = [blob for part in equipment_parts(action, pose, body, gear) for blob in part.blobs]
    return pose, [blob for blob in found if colour in (None, blob.colour)]


def test_colours_of_a_set_differ():
    for seed in range(20):
        gear = Gear.random(np.random.default_rng(seed))
        paints = {gear.frame, gear.pad, gear.plate, gear.collar}
        assert len(paints) == 4
        assert paints <= set(PAINT)
        assert gear.steel in STEEL
        assert gear.num_plates in (1, 2)


def test_pushups_need_nothing():
    assert blobs("pushups")[1] == []


@pytest.mark.parametrize("action", ["bench_press", "deadlift"])
def test_a_barbell_goes_with_its_bar_and_has_as_many_plates(action):
    pose, steel = blobs(action, colour=GEAR.steel)
    shaft = steel[0]
    np.testing.assert_allclose(shaft.centres.mean(axis=1), pose.bar)
    counts = [len(blobs(action, gear=replace(GEAR, num_plates=n))[1]) for n in (1, 2)]
    assert counts[1] - counts[0] == 2 * 4  # at each end a plate of four discs


def test_plates_lie_on_the_floor_before_a_deadlift():
    pose, plates = blobs("deadlift", colour=GEAR.plate)
    lowest = min(blob.centres[0, :, 1].min() for blob in plates)
    assert lowest == pytest.approx(pose.bar[0, 1] - PLATE_RADIUS, abs=0.01)
    assert lowest == pytest.approx(0.0, abs=0.02)
    assert min(blob.centres[1, :, 1].min() for blob in plates) > 0.3


def test_the_bench_is_below_the_trunk():
    pose, pads = blobs("bench_press", colour=GEAR.pad)
    (pad,) = pads
    assert pad.centres[..., 1].max() == pytest.approx(PAD_HEIGHT)
    low, high = pad.centres.min(axis=(0, 1)), pad.centres.max(axis=(0, 1))
    for joint in ("chest", "pelvis"):
        assert (pose[joint][:, 1] > PAD_HEIGHT).all()
        assert ((pose[joint][:, [0, 2]] >= low[[0, 2]]) & (pose[joint][:, [0, 2]] <= high[[0, 2]])).all()


@pytest.mark.parametrize("action", ["dips", "pullups"])
def test_hands_are_at_bars_that_stand_still(action):
    pose, bars = blobs(action, colour=GEAR.steel)
    for bar in bars:
        np.testing.assert_array_equal(bar.centres, bar.centres[:1].repeat(3, axis=0))
    for suffix in ("_r", "_l"):
        hand = pose["hand" + suffix]
        nearest = []
        for bar in bars:
            start, end = bar.centres[:, 0], bar.centres[:, -1]
            line = end - start
            share = np.clip(((hand - start) * line).sum(-1) / (line**2).sum(-1), 0, 1)[:, None]
            nearest.append(np.linalg.norm(start + share * line - hand, axis=-1))
        assert np.min(nearest, axis=0).max() < 0.1  # metres
