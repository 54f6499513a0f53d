"""Features of key points: the same in a mirror, finite whatever is seen, and as a loop over limbs has them."""

import numpy as np
import pytest

from tpl_lightning.features.limbs import COCO_POINTS, NUM_FEATURES, limb_features

SWAPPED = [
    COCO_POINTS.index(name.replace("left", "right") if name.startswith("left") else name.replace("right", "left"))
    for name in COCO_POINTS
]


def person(frames=20, seed=0):
    rng = np.random.default_rng(seed)
    stands = rng.uniform(50, 200, (17, 2))
    moves = rng.normal(0, 15, (17, 2)) * np.sin(np.linspace(0, 3, frames))[:, None, None]
    return stands + moves, rng.uniform(0.5, 1, (frames, 17))


def test_a_mirrored_clip_has_the_same_features():
    places, sure = person()
    sure[4:9, [0, 9]] = 0.1
    mirrored = np.stack([640 - places[:, SWAPPED, 0], places[:, SWAPPED, 1]], axis=-1)
    found = limb_features(places, sure)
    np.testing.assert_allclose(limb_features(mirrored, sure[:, SWAPPED]), found, atol=1e-6)
    # And where a network takes the left side for the right one, in all frames.
    np.testing.assert_allclose(limb_features(places[:, SWAPPED], sure[:, SWAPPED]), found, atol=1e-6)
    assert found.shape == (20, NUM_FEATURES)
    assert found.dtype == np.float32
    assert np.ptp(found, axis=0).min() > 0


def test_place_and_size_do_not_count():
    places, sure = person()
    np.testing.assert_allclose(limb_features(5 + 3 * places, sure), limb_features(places, sure), atol=1e-5)


def pair(left, right):
    return [abs(left[0] + right[0]), left[1] + right[1], abs(left[0] - right[0]), abs(left[1] - right[1])]


def unit(vector):
    return vector / np.sqrt(vector @ vector + 1e-4)


def slow(places):
    """All points are sure: features frame by frame."""
    centre = places.mean(1, keepdims=True)
    size = np.median([np.sqrt(((frame - frame.mean(0)) ** 2).sum(1).mean()) for frame in places])
    level = places.mean((0, 1))[1]
    rows = []
    for frame, middle in zip(places, centre[:, 0], strict=True):
        at = {name: (frame[k] - middle) / size for k, name in enumerate(COCO_POINTS)}
        both = {p: [at[f"{side} {p}"] for side in ("left", "right")] for p in ("shoulder", "elbow", "wrist", "hip")}
        both |= {p: [at[f"{side} {p}"] for side in ("left", "right")] for p in ("knee", "ankle")}
        row = []
        for one, other in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")):
            row += pair(*(unit(both[other][side] - both[one][side]) for side in (0, 1)))
        for a, b, c in (
            ("shoulder", "elbow", "wrist"),
            ("hip", "shoulder", "elbow"),
            ("shoulder", "hip", "knee"),
            ("hip", "knee", "ankle"),
        ):
            left, right = (
                np.arccos(unit(both[a][side] - both[b][side]) @ unit(both[c][side] - both[b][side])) for side in (0, 1)
            )
            row.extend([left + right, abs(left - right)])
        for point in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
            row += pair(*both[point])
        neck, pelvis = (np.mean(both[p], axis=0) for p in ("shoulder", "hip"))
        for vector in (unit(neck - pelvis), unit(at["nose"] - neck), at["nose"]):
            row.extend([abs(vector[0]), vector[1]])
        row.append(2 * (middle[1] - level) / size)
        rows.append(row)
    return np.array(rows)


def test_features_are_those_of_a_loop():
    places, _ = person()
    np.testing.assert_allclose(limb_features(places, np.ones((20, 17))), slow(places), atol=1e-5)


def test_confidence_is_a_weight_of_what_changes():
    places, _ = person()
    sure = np.ones((20, 17))
    full = limb_features(places, sure)
    sure[:, COCO_POINTS.index("left wrist")] = 0.5
    half = limb_features(places, sure)
    spread = np.ptp(half, axis=0) / np.ptp(full, axis=0)
    forearms, elbows, wrists = slice(4, 8), slice(16, 18), slice(32, 36)
    for columns in (forearms, elbows, wrists):
        np.testing.assert_allclose(spread[columns], 0.5, atol=1e-4)
    np.testing.assert_allclose(np.delete(spread, np.r_[forearms, elbows, wrists, -1]), 1, atol=1e-4)
    np.testing.assert_allclose(half.mean(0), full.mean(0), atol=1e-5)


def test_doubtful_points_are_interpolated():
    places, _ = person()
    places += np.linspace(0, 40, 20)[:, None, None] - (places - places[:1])  # all move evenly, as one
    wild, unsure = places.copy(), np.ones((20, 17))
    wild[5:8, 9] = -999
    unsure[5:8, 9] = 0.1
    truth, found = limb_features(places, np.ones((20, 17))), limb_features(wild, unsure)
    spread = np.abs(found - truth).max(axis=0)
    assert spread.max() < 0.1  # the confidence of a wrist is less, its place the same
    wild[5:8, 9] = np.nan
    np.testing.assert_allclose(limb_features(wild, np.ones((20, 17))), found, atol=1e-5)


@pytest.mark.parametrize("seen", [0, 3])
def test_where_nobody_is_seen_all_is_nothing(seen):
    places, sure = person()
    sure[:, seen:] = 0.2
    found = limb_features(places, sure)
    assert found.shape == (20, NUM_FEATURES)
    assert not found.any()


def test_points_never_seen_say_nothing():
    places, sure = person()
    sure[:, [13, 15]] = 0.0  # the left knee and ankle
    places[:, 15] = np.nan
    found = limb_features(places, sure)
    assert np.isfinite(found).all()
    assert not found[:, 8:16].any()  # thighs and shanks
    assert found[:, :8].any()


def test_one_frame_and_none():
    places, sure = person(1)
    assert np.isfinite(limb_features(places, sure)).all()
    assert limb_features(places[:0], sure[:0]).shape == (0, NUM_FEATURES)
