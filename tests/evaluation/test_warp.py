"""The warp of one video as a function, and which of its frames and of the prototype points face nothing."""

import numpy as np
import pytest

from tpl_lightning.evaluation.warp import Warp, faced_positions, idle_frames, prototype_grid, within_video


@pytest.mark.parametrize("length", [1, 2, 7])
def test_points_lie_evenly_from_0_to_1(length):
    grid = prototype_grid(length)
    assert grid.dtype == np.float32
    expected = [j / (length - 1) for j in range(length)] if length > 1 else [0.0]
    np.testing.assert_allclose(grid, expected, atol=1e-7)


CASES = [
    # Position of the frames, source of the points, frames before the action, frames after it.
    ([0.0, 0.0, 0.5, 1.0, 1.0], np.linspace(0.25, 0.75, 5), [0], [4]),
    ([0.25, 0.5, 0.75], np.linspace(-0.5, 1.5, 5), [], []),  # it misses both ends
    ([0.0, 0.0, 0.5, 1.0], np.linspace(0, 1, 5), [], []),  # two frames at the first point: neither idles
    ([0.0, 0.0, 0.0, 1.0], np.linspace(0.6, 1, 5), [0, 1], []),
    ([1e-6, 0.5, 1.0], np.linspace(5e-6, 1 - 5e-6, 5), [], []),  # within rounding of the ends
]


@pytest.mark.parametrize(("position", "source", "first", "last"), CASES)
def test_frames_idle_before_the_first_point_and_after_the_last(position, source, first, last):
    position = np.array(position, dtype=np.float32)
    before, after = idle_frames(position, source.astype(np.float32))
    assert np.flatnonzero(before).tolist() == first
    assert np.flatnonzero(after).tolist() == last
    expected = position.copy()
    expected[first], expected[last] = -1, 2
    found = faced_positions(position, source.astype(np.float32))
    assert found.dtype == position.dtype
    np.testing.assert_array_equal(found, expected)


def test_times_of_frames_are_those_within_the_video_but_for_rounding():
    times = np.array([-0.5, -1e-4, -1e-6, 0.0, 0.4, 1.0, 1 + 1e-6, 1 + 1e-4, 2.0])
    assert within_video(times).tolist() == [False, False, True, True, True, True, True, False, False]


def _warp():
    """The square on 101 points and frames, so its inverse is the root."""
    grid = np.linspace(0, 1, 101)
    return Warp(position=np.sqrt(np.linspace(0, 1, 41)).astype(np.float32), source=(grid**2).astype(np.float32))


def test_both_directions_are_read_linearly_between_what_is_stored():
    warp = _warp()
    times = np.array([0.0, 0.123, 0.5, 0.999, 1.0])
    np.testing.assert_allclose(warp(times), np.interp(times, np.linspace(0, 1, 101), warp.source), atol=1e-7)
    np.testing.assert_allclose(warp(times), times**2, atol=1e-4)
    np.testing.assert_allclose(warp.inverse(times), np.interp(times * 40, np.arange(41), warp.position), atol=1e-7)
    np.testing.assert_allclose(warp.inverse(times[1:]), np.sqrt(times[1:]), atol=0.01)
    np.testing.assert_allclose(warp.frame(times), 40 * warp(times), atol=1e-5)
    np.testing.assert_allclose(warp.prototype_time(np.arange(41)), warp.position)
    assert float(warp.prototype_time(10.5)) == pytest.approx((warp.position[10] + warp.position[11]) / 2)


def test_what_lies_outside_is_read_at_the_near_end():
    warp = _warp()
    assert warp(np.array([-1.0, 2.0])).tolist() == [0.0, 1.0]
    assert warp.inverse(np.array([-1.0, 2.0])).tolist() == [0.0, 1.0]
    assert warp.prototype_time(np.array([-3.0, 77.0])).tolist() == [0.0, 1.0]


def test_a_video_that_misses_an_end_has_no_frame_there():
    warp = Warp(position=np.linspace(0.25, 0.75, 5), source=np.linspace(-0.5, 1.5, 9))
    assert warp.has_frame(np.array([0.0, 0.2, 0.25, 0.5, 0.75, 0.8, 1.0])).tolist() == [
        False,
        False,
        *[True] * 3,
        False,
        False,
    ]
    assert warp.frame(np.array([0.0, 0.5, 1.0])).tolist() == [0.0, 2.0, 4.0]  # the near end
