"""Backgrounds."""

import numpy as np
import pytest

from tests.synthetic.looks import still_camera
from tpl_lightning.synthetic.scenery import MARGIN, draw_background

SIZE = 96
MAT = (-0.6, 0.6, -0.5, 0.5)


def background(seed, *, size=SIZE, mat=None):
    return draw_background(still_camera(size), size, np.random.default_rng(seed), mat=mat)


@pytest.mark.parametrize("size", [32, 96, 97])
def test_backgrounds_are_larger_than_the_picture(size):
    picture = background(0, size=size)
    assert (picture.size, picture.mode) == ((round(MARGIN * size),) * 2, "RGB")


def test_the_same_numbers_give_the_same_picture_and_others_another():
    one, same, other = (np.asarray(background(seed)).astype(int) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).mean() > 10


def test_a_mat_covers_its_place_on_the_floor_and_nothing_else():
    corners = np.array([(x, 0.0, z) for x in MAT[:2] for z in MAT[2:]])
    pixels = still_camera(SIZE).project(corners, moving=False)[0] + (round(MARGIN * SIZE) - SIZE) / 2
    (left, top), (right, bottom) = pixels.min(axis=0).astype(int), pixels.max(axis=0).astype(int)
    inside = np.zeros((round(MARGIN * SIZE),) * 2, dtype=bool)
    around = inside.copy()
    inside[top + 2 : bottom - 2, left + 6 : right - 6] = True
    around[top - 4 : bottom + 5, left - 4 : right + 5] = True
    covered = []
    for seed in range(12):
        plain, with_mat = (np.asarray(background(seed, mat=mat)).astype(int) for mat in (None, MAT))
        change = np.abs(plain - with_mat).mean(axis=-1)
        assert (change[~around] > 30).mean() < 0.005  # grain
        covered.append(change[inside].mean() > 20)
    assert 2 <= sum(covered) <= 11  # not outdoors, and not always
