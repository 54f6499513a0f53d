"""What a camera does is taken out of a video: known drifts of synthetic scenes."""

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter

from tpl_lightning.features.stabilisation import halved, stabilised

SIZE = 128


def _scene(seed=0):
    return gaussian_filter(np.random.default_rng(seed).random((SIZE, SIZE)), 2.0).astype(np.float32) * 4 - 1.5


def _with_walker(scene, count):
    """A dark block that crosses the lower part of the picture."""
    frames = np.repeat(scene[None], count, axis=0)
    for t, left in enumerate(np.linspace(10, 90, count).astype(int)):
        frames[t, 70:110, left : left + 25] = 0.1
    return frames


def _drifted(frames, zoom, roll, shift):
    """Frames seen by a camera that zooms, rolls and shifts (T,), (T,), (T, 2) in pixels: an independent warp."""
    middle, moved = (SIZE - 1) / 2, []
    for t, frame in enumerate(frames):
        c, s = np.cos(roll[t]), np.sin(roll[t])
        matrix = np.array([[c, -s], [s, c]]) / zoom[t]
        moved.append(affine_transform(frame, matrix, middle - matrix @ (middle + shift[t]), order=3, mode="nearest"))
    return np.stack(moved).astype(np.float32)


def _run(frames, piece=64):
    return np.concatenate(list(stabilised(frames[i : i + piece] for i in range(0, len(frames), piece))))


def _unrest(frames):
    """How much the background, away from borders and the walker, changes over time."""
    return frames[:, 20:60, 20:108].std(axis=0).mean()


@pytest.mark.parametrize("walks", [False, True])
def test_a_drifting_camera_is_held_still(walks):
    count = 40
    scene = _scene()
    frames = _with_walker(scene, count) if walks else np.repeat(scene[None], count, axis=0)
    wave = np.sin(np.linspace(0, 5, count))
    shift = np.stack([2.5 * wave, -3 * np.cos(np.linspace(0, 4, count))], 1)
    shaken = _drifted(frames, 1 + 0.02 * wave, 0.015 * wave, shift)
    found = _run(shaken)
    assert found.shape == shaken.shape
    assert found.dtype == np.float32
    assert _unrest(found) < 0.2 * _unrest(shaken)


def test_a_still_camera_is_left_alone():
    frames = _with_walker(_scene(), 30)
    np.testing.assert_allclose(_run(frames)[:, 20:60, 20:108], frames[:, 20:60, 20:108], atol=0.02)


def test_pieces_do_not_matter_and_long_videos_follow_their_start():
    count = 300  # more than the frames whose median all are fitted to
    frames = np.repeat(_scene()[None], count, axis=0)
    shift = np.stack([np.linspace(-3, 3, count), np.zeros(count)], 1)
    shaken = _drifted(frames, np.ones(count), np.zeros(count), shift)
    found = _run(shaken)
    assert _unrest(found) < 0.2 * _unrest(shaken)
    np.testing.assert_allclose(_run(shaken, 300), found, atol=1e-5)


@pytest.mark.parametrize("frames", [np.zeros((0, 64, 64)), np.full((1, 64, 64), 0.5), np.zeros((5, 64, 64))])
def test_plain_and_short_videos_stay_as_they_are(frames):
    frames = frames.astype(np.float32)
    np.testing.assert_allclose(_run(frames) if len(frames) else frames, frames, atol=1e-6)


def test_halves_are_means_of_squares():
    pictures = np.random.default_rng(0).random((3, 9, 9)).astype(np.float32)
    expected = pictures[:, :8, :8].reshape(3, 4, 2, 4, 2).mean((2, 4))
    np.testing.assert_allclose(halved(pictures), expected, atol=1e-6)
