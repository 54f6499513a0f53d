"""The painter: where points of the world are in the picture, outlines, and what hides what."""

import numpy as np
import pytest

from tpl_lightning.synthetic.canvas import Camera, Painter, Part, box, colours, disc, hull_outline, limb, shade

STILL = np.array([[[1.0, 0, 0], [0, 1, 0]]])


def camera(*, yaw=0.0, pitch=0.0, drift=STILL):
    target, centre = np.array([1.0, 2.0, 3.0]), np.array([40.0, 30.0])
    return Camera(target, yaw, pitch, distance=5.0, focal=10.0, centre=centre, drift=drift)


def test_shades_stay_colours():
    assert shade((100, 50, 200), 0.5) == (50, 25, 100)
    assert shade((100, 50, 200), 1.5) == (178, 152, 228)
    assert shade((100, 50, 200), 2.0) == (255, 255, 255)


def test_points_are_projected_by_similar_triangles():
    points = np.array([[1, 2, 3], [2, 2, 3], [1, 3, 3], [2, 2, 5.5]], dtype=float)
    pixels, scale = camera().project(points, moving=False)
    # The last point is at half of the distance: everything there is twice as large.
    np.testing.assert_allclose(pixels, [[40, 30], [50, 30], [40, 20], [60, 30]])
    np.testing.assert_allclose(scale, [10, 10, 10, 20])


def test_yaw_and_pitch_turn_the_camera_around_its_target():
    points = np.array([1.0, 2.0, 3.0]) + np.array([[1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]])
    np.testing.assert_allclose(camera(yaw=np.pi / 2).to_camera(points), [[0, 0, 1], [-1, 0, 0], [0, 1, 0]], atol=1e-12)
    above = camera(pitch=np.pi / 2).to_camera(points)  # from there, what was in front is below in the picture
    np.testing.assert_allclose(above, [[1, 0, 0], [0, -1, 0], [0, 0, 1]], atol=1e-12)


def test_drift_moves_and_zooms_each_frame():
    drift = np.concatenate([STILL, [[[0, -2.0, 7], [2, 0, 5]]]])  # a quarter turn, twice as large, moved
    pixels, scale = camera(drift=drift).project(np.array([[[2.0, 2.0, 3.0]]] * 2))
    np.testing.assert_allclose(pixels[:, 0], [[50, 30], [-2 * 30 + 7, 2 * 50 + 5]])
    np.testing.assert_allclose(scale[:, 0], [10, 20])


def test_outlines_are_hulls_of_circles():
    pixels, radii = np.array([[[0.0, 0], [10, 0], [5, 1]]]), np.array([[2.0, 3.0, 1.0]])  # the third lies within
    (outline,) = hull_outline(pixels, radii)
    distance = np.linalg.norm(outline[:, None] - pixels[0], axis=-1) - radii[0]
    np.testing.assert_allclose(distance.min(axis=1), 0, atol=1e-9)
    assert set(distance.argmin(axis=1)) == {0, 1}
    x, y = outline.T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    # Two caps and what lies between the tangents: their angle is that of (3 - 2) over 10.
    tilt = np.arcsin(1 / 10)
    exact = 2 * np.sqrt(99) * 2.5 + 9 * (np.pi / 2 + tilt) + 4 * (np.pi / 2 - tilt)
    assert area == pytest.approx(exact, rel=0.03)


def test_boxes_and_discs_have_their_measures():
    chest = box((0, 1, 2), (3, 5, 7), (1, 2, 3), 4)
    assert chest.centres.shape == (4, 8, 3)
    np.testing.assert_array_equal(np.ptp(chest.centres[2], axis=0), [3, 4, 5])
    middle = np.array([[1.0, 2, 3], [4, 5, 6]])
    rim = disc(middle, 0.5, 0.1, (1, 2, 3)).centres - middle[:, None]
    np.testing.assert_allclose(np.hypot(rim[..., 0], rim[..., 1]), 0.5)
    np.testing.assert_allclose(np.abs(rim[..., 2]), 0.1)


@pytest.mark.parametrize(("bias", "seen"), [(0.0, (200, 0, 0)), (2.0, (0, 0, 200))])
def test_near_parts_hide_far_ones_unless_these_count_as_nearer(bias, seen):
    painter = Painter(camera(), 64, np.array([0.0, -1.0]))
    target = np.array([[1.0, 2, 3]])
    for step, colour, own in ((1.0, (200, 0, 0), 0.0), (0.0, (0, 0, 200), bias)):
        ball = target + np.array([0, 0, step])
        painter.add(Part([limb([ball], [0.5], colour, lit=0.0)], ball[:, None], bias=own))
    picture = np.asarray(painter.paint(0))
    assert picture.shape == (64, 64, 4)
    assert tuple(picture[30, 40]) == (*seen, 255)
    assert picture[2, 2, 3] == 0


def test_colours_are_written_as_in_html():
    assert colours("ff8000 0a0b0c") == ((255, 128, 0), (10, 11, 12))
