"""What is odd about labels, and how videos with the same doubt are named in one line."""

import warnings

import pytest

from tpl_lightning.labels.doubts import Doubts, doubt_of
from tpl_lightning.labels.spans import PhaseSpans
from tpl_lightning.video.clock import VideoClock


@pytest.mark.parametrize(
    ("spans", "unit", "doubt"),
    [
        (((0, 1, 0), (1, 2.05, 1)), "seconds", ""),
        (((0, 1, 0), (1, 3, 1)), "seconds", "labels lie past the end of the video"),
        (((0, 700, 0), (700, 2000, 1)), "seconds", "times look like milliseconds, expected seconds"),
        (((0, 0.7, 0), (0.7, 999, 1)), "seconds", "labels lie past the end of the video"),
        (((0, 30, 0), (30, 60, 1)), "frames", ""),
        (((0, 30, 0), (30, 90, 1)), "frames", "labels lie past the end of the video"),
        (((0, 30, 0), (30, float("inf"), 1)), "frames", ""),
        (((0, 99, 0), (99, float("inf"), 1)), "seconds", "labels lie past the end of the video"),
        (((0, 1, 0),), "share", ""),
    ],
)
def test_doubts(spans, unit, doubt):
    assert doubt_of(PhaseSpans(spans, unit), VideoClock.even(60, 30)) == doubt


def test_videos_of_one_doubt_are_named_in_one_line():
    doubts = Doubts()
    for number in range(7):
        doubts.note("labels lie past the end of the video", f"v{number}")
        doubts.note("", f"v{number}")
    doubts.note("a gap", "v3")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        doubts.warn("labels.csv")
    assert [str(warning.message) for warning in caught] == [
        "labels.csv: labels lie past the end of the video: v0, v1, v2, v3, v4 and 2 more",
        "labels.csv: a gap: v3",
    ]
