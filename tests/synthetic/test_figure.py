"""The person around a skeleton."""

from dataclasses import replace

import numpy as np
import pytest

from tests.synthetic.looks import posed
from tpl_lightning.synthetic import ACTIONS
from tpl_lightning.synthetic.figure import CLOTH, HAIR, SKIN, Outfit, figure_parts

OUTFIT = Outfit((1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4), (5, 5, 5), sleeve=0.5, leg=1.8, long_hair=False)


def colours(parts):
    return [blob.colour for part in parts for blob in part.blobs]


def test_outfits_are_of_the_palettes_and_shirt_and_trousers_differ():
    outfits = [Outfit.random(np.random.default_rng(seed)) for seed in range(40)]
    for outfit in outfits:
        assert outfit.skin in SKIN
        assert outfit.hair in HAIR
        assert {outfit.shirt, outfit.shoes} <= set(CLOTH)
        assert outfit.shirt != outfit.trousers
    assert {outfit.long_hair for outfit in outfits} == {False, True}
    assert len({outfit.shirt for outfit in outfits}) > 5


@pytest.mark.parametrize("name", ACTIONS)
def test_every_joint_of_the_limbs_is_covered(name):
    pose, body = posed(name)
    parts = figure_parts(pose, body, OUTFIT)
    assert len(parts) == 7  # trunk, face, hair, arms, legs
    centres = np.concatenate([blob.centres for part in parts for blob in part.blobs], axis=1)
    radii = np.concatenate([blob.radii for part in parts for blob in part.blobs])
    for joint in ("shoulder", "elbow", "hand", "hip", "knee", "ankle", "toe"):
        for suffix in ("_r", "_l"):
            distance = np.linalg.norm(centres - pose[joint + suffix][:, None], axis=-1)
            assert (distance < radii + 0.005).any(axis=1).all(), joint


def test_clothes_and_hair_are_there_as_the_outfit_says():
    pose, body = posed("pullups")
    dressed = colours(figure_parts(pose, body, OUTFIT))
    bare = colours(figure_parts(pose, body, replace(OUTFIT, sleeve=0.0, leg=0.6)))
    # Two sleeves and two trouser legs below the knee; all the rest is worn in any case.
    assert dressed.count(OUTFIT.shirt) - bare.count(OUTFIT.shirt) == 2
    assert dressed.count(OUTFIT.trousers) - bare.count(OUTFIT.trousers) == 2
    assert dressed.count(OUTFIT.skin) == bare.count(OUTFIT.skin)
    long = colours(figure_parts(pose, body, replace(OUTFIT, long_hair=True)))
    assert long.count(OUTFIT.hair) - dressed.count(OUTFIT.hair) == 1


def test_who_is_of_heavier_build_has_thicker_limbs():
    pose, body = posed("dips")
    thin, thick = (figure_parts(pose, replace(body, bulk=bulk), OUTFIT) for bulk in (0.9, 1.2))
    for one, other in zip(thin, thick, strict=True):
        for before, after in zip(one.blobs, other.blobs, strict=True):
            assert (after.radii >= before.radii).all()
    np.testing.assert_allclose(thick[0].blobs[-1].radii / thin[0].blobs[-1].radii, 1.2 / 0.9)  # the chest
