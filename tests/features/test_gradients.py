"""HOG of pictures against its definition: soft bins, mirror images, squares."""

import numpy as np
import pytest

from tests.features.small_hog import SMALL, blobs
from tpl_lightning.features.gradients import HogParams, fit_square, hog_features


def _by_hand(picture, params):
    """HOG of one grey picture, pixel by pixel; one block."""
    cells, bins = params.cells, params.orientations
    found = np.zeros((cells, cells, bins))
    middle = (np.arange(cells) + 0.5) * params.cell - 0.5
    for y in range(params.size):
        for x in range(params.size):
            down = picture[y + 1, x] - picture[y - 1, x] if 0 < y < params.size - 1 else 0.0
            across = picture[y, x + 1] - picture[y, x - 1] if 0 < x < params.size - 1 else 0.0
            place = np.arctan2(down, across) * bins / np.pi
            below = int(np.floor(place))
            spread = params.spread * params.cell
            window = np.outer(np.exp(-0.5 * ((y - middle) / spread) ** 2), np.exp(-0.5 * ((x - middle) / spread) ** 2))
            for k, share in ((below, below + 1 - place), (below + 1, place - below)):
                found[:, :, k % bins] += window * share * np.hypot(down, across)
    values = found.ravel() / np.linalg.norm(found)
    values = np.minimum(values, 0.2)
    return values / np.linalg.norm(values)


def test_features_are_soft_histograms_of_gradients():
    params = HogParams(size=16, cell=4, block=4, orientations=6)
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, size=(3, 16, 16)).astype(np.uint8)
    grey[1] = np.tril(grey[1] // 200 + 90)  # edges of few directions
    grey[2] = np.linspace(0, 250, 16).astype(np.uint8)
    frames = grey[..., None].repeat(3, axis=-1)
    plain = HogParams(**{**vars(params), "mirror_invariant": False})
    for row, picture in zip(hog_features(frames, params=plain), grey / 255, strict=True):
        np.testing.assert_allclose(row, _by_hand(picture, params), atol=1e-5)
    for row, picture in zip(hog_features(frames, params=params), grey / 255, strict=True):
        both = 0.5 * (_by_hand(picture, params) + _by_hand(picture[:, ::-1], params))
        np.testing.assert_allclose(row, both, atol=1e-5)


def test_features_change_little_where_little_changes():
    params = HogParams()
    x = np.arange(128)[None, :]

    def bar(place, tilt):
        shade = 200 / (1 + np.exp(-(x - place - tilt * np.arange(128)[:, None])))
        return shade.astype(np.uint8)[..., None].repeat(3, axis=-1)

    # Over the border of two cells, and over that of two bins of direction.
    for frames in ([bar(40 + s, 0.0) for s in range(17)], [bar(40, 0.02 * s) for s in range(17)]):
        steps = np.linalg.norm(np.diff(hog_features(frames, params=params), axis=0), axis=1)
        assert steps.max() < 3 * steps.mean()


@pytest.mark.parametrize("params", [SMALL, HogParams()])
def test_mirrored_frames_have_the_same_features(params):
    frames = blobs(3, 64, 64)
    mirrored = frames[:, :, ::-1]
    np.testing.assert_allclose(hog_features(frames, params=params), hog_features(mirrored, params=params), atol=1e-6)
    plain = HogParams(**{**vars(params), "mirror_invariant": False})
    difference = np.abs(hog_features(frames, params=plain) - hog_features(mirrored, params=plain))
    assert difference.max() > 0.05


def test_fit_square_keeps_proportions_and_adds_no_edge():
    frame = np.zeros((30, 60, 3), np.uint8)
    frame[:, 30:] = 255
    square = fit_square(frame, 20)
    assert square.shape == (20, 20)
    assert square.dtype == np.float32
    # The half that is white stays half, and rows that are missing repeat those at the border.
    np.testing.assert_allclose(square.mean(), 0.5, atol=0.02)
    np.testing.assert_allclose(square, np.repeat(square[:1], 20, axis=0), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3)])
def test_fit_square_takes_any_shape(shape):
    assert fit_square(np.full((*shape, 3), 100, np.uint8), 16).shape == (16, 16)
