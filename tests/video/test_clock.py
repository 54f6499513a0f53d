"""The clock of a video."""

import numpy as np
import pytest

from tpl_lightning.video.clock import VideoClock

UNEVEN = VideoClock(np.array([0.0, 0.1, 0.2, 2.0, 2.05]), stated_fps=1000.0)


def test_a_stated_rate_counts_only_where_the_times_agree():
    rounded = np.round(np.arange(60) / 29.97, 3)  # Matroska has milliseconds
    assert VideoClock(rounded, stated_fps=29.97).fps == 29.97
    assert VideoClock(rounded, stated_fps=1000.0).fps == pytest.approx(29.97, abs=0.02)
    assert VideoClock(rounded).fps == pytest.approx(29.97, abs=0.02)
    assert UNEVEN.fps == pytest.approx(4 / 2.05)
    assert [VideoClock(np.zeros(1), stated_fps=rate).fps for rate in (50.0, None)] == [50.0, 24.0]


def test_pauses_do_not_count_in_the_usual_rate():
    steps = np.full(50, 1 / 30)
    steps[20] = 3.0
    clock = VideoClock(np.concatenate([[0.0], np.cumsum(steps)]))
    assert clock.usual_fps == pytest.approx(30)
    assert clock.fps == pytest.approx(50 / (49 / 30 + 3))
    assert not clock.is_even
    assert VideoClock.even(20, 12.5).usual_fps == 12.5


def test_seconds_and_frames_are_inverse_and_time_goes_on_past_the_end():
    frames = np.array([0.0, 0.5, 2.0, 2.5, 4.0])
    np.testing.assert_allclose(UNEVEN.seconds(frames), [0, 0.05, 0.2, 1.1, 2.05])
    np.testing.assert_allclose(UNEVEN.frame(UNEVEN.seconds(frames)), frames)
    assert UNEVEN.seconds(np.array(5.0)) == pytest.approx(2.05 + 1 / UNEVEN.usual_fps)
    assert UNEVEN.frame(np.array(9.0)) == 4


def test_a_stretch_begins_at_the_nearest_frame():
    assert [UNEVEN.first_after(at) for at in (-1.0, 0.0, 0.04, 0.06, 1.09, 1.11, 2.04, 2.06, 9.0)] == [
        0, 0, 0, 1, 2, 3, 4, 4, 5,
    ]  # fmt: skip
    # As on an even clock, where an instant half-way between two frames belongs to the later one.
    even = VideoClock.even(10, 10.0)
    at = np.linspace(0, 0.94, 95)
    assert [even.first_after(t) for t in at] == np.floor(at * 10 + 0.5 + 1e-6).astype(int).tolist()


@pytest.mark.parametrize("clock", [UNEVEN, VideoClock.even(50, 30000 / 1001), VideoClock(np.arange(9) ** 2 / 7)])
def test_written_times_come_back_as_the_same_frame(clock):
    for frame in range(clock.num_frames + 1):
        assert clock.first_after(float(f"{clock.seconds(np.array(float(frame))):.4f}")) == frame
