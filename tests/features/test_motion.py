"""Motion in cells."""

import numpy as np
import pytest

from tpl_lightning.features.motion import DIRECTIONS, REACH, cell_motion, with_neighbours

WINDOWS = np.full((1, 32), 1 / 32, np.float32)  # one cell


def _moving(down, across, count=9):
    """A soft texture that moves by so many pixels a frame."""
    y, x = np.mgrid[:32, :32].astype(np.float64)
    frames = [
        0.5 + 0.25 * np.sin(0.4 * (y - down * t)) + 0.2 * np.cos(0.5 * (x - across * t) + 0.2 * (y - down * t))
        for t in range(count)
    ]
    return 10 * np.stack(frames).astype(np.float32)  # so much contrast that nothing counts as still


@pytest.mark.parametrize(
    ("down", "across", "expected"), [(0.3, 0.0, (0, 0.3, 0)), (-0.5, 0.0, (0.5, 0, 0)), (0.2, -0.4, (0, 0.2, 0.4))]
)
def test_motion_is_the_speed_in_each_direction(down, across, expected):
    found = cell_motion(_moving(down, across), WINDOWS, mirror_invariant=True)
    assert found.shape == (9 - 2 * REACH, DIRECTIONS)
    np.testing.assert_allclose(found**2, np.tile(expected, (5, 1)), atol=0.05)


def test_mirrored_videos_move_alike():
    frames = np.random.default_rng(0).random((8, 32, 32), dtype=np.float32)
    place = (np.arange(32) + 0.5) / 8 - 0.5
    windows = np.exp(-((place - np.arange(4)[:, None]) ** 2)).astype(np.float32)
    found = cell_motion(frames, windows, mirror_invariant=True)
    np.testing.assert_allclose(found, cell_motion(frames[:, :, ::-1], windows, mirror_invariant=True), atol=1e-5)
    plain = cell_motion(frames, windows, mirror_invariant=False)
    assert np.abs(plain - cell_motion(frames[:, :, ::-1], windows, mirror_invariant=False)).max() > 0.1


@pytest.mark.parametrize("sizes", [(1,), (2,), (7,), (1, 1, 1, 1), (2, 9, 3), (5, 1)])
def test_every_frame_is_in_the_middle_of_one_run(sizes):
    frames = np.arange(sum(sizes))
    chunks = np.split(frames, np.cumsum(sizes)[:-1])
    runs = list(with_neighbours(chunks))
    np.testing.assert_array_equal(np.concatenate([run[REACH:-REACH] for run in runs]), frames)
    for run in runs:
        inner = np.clip(np.arange(run[REACH] - REACH, run[-REACH - 1] + REACH + 1), 0, frames[-1])
        np.testing.assert_array_equal(run, inner)
    assert list(with_neighbours([])) == []
