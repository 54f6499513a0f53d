"""Phases of a video, whatever its frames."""

import numpy as np

from tpl_lightning.labels.spans import PhaseSpans, numbered_phases, spans_of_labels
from tpl_lightning.video.clock import VideoClock


def resampled(frames, fps, native):
    """When the frames are shown that are taken at another rate, and which of the file they are."""
    return VideoClock.even(frames, fps), np.ceil(np.arange(frames) * native / fps - 0.5).astype(int)


def test_labels_follow_resampling():
    spans = PhaseSpans(((0, 12, 0), (12, 24, 1)), "frames")
    assert spans.labels(*resampled(24, 24, 24)).tolist() == [0] * 12 + [1] * 12
    assert spans.labels(*resampled(12, 12, 24)).tolist() == [0] * 6 + [1] * 6
    assert spans.labels(*resampled(48, 48, 24)).tolist() == [0] * 24 + [1] * 24
    seconds = PhaseSpans(((0.0, 0.4583, 0), (0.4583, 1.0, 1)), "seconds")  # 11 / 24 = 0.45833..
    assert seconds.labels(*resampled(24, 24, 30)).tolist() == [0] * 11 + [1] * 13
    share = PhaseSpans(((0.0, 0.25, 0), (0.5, 1.0, 1)), "share")
    assert share.labels(*resampled(8, 24, 30)).tolist() == [0, 0, -1, -1, 1, 1, 1, 1]
    open_end = PhaseSpans(((0.0, float("inf"), 3),), "frames")
    assert open_end.labels(*resampled(5, 10, 30)).tolist() == [3] * 5


def test_stretches_of_labels_give_the_labels_back():
    labels = np.array([0, 0, 1, 1, 1, -1, -1, 2])
    np.testing.assert_array_equal(spans_of_labels(labels).labels(*resampled(8, 24, 24)), labels)
    stretched = spans_of_labels(labels, unit="share").labels(*resampled(16, 24, 24))
    np.testing.assert_array_equal(stretched, np.repeat(labels, 2))


def test_phases_without_names_are_numbered():
    shown = [spans_of_labels(np.array(labels)).num_phases for labels in ([0, 0, 1], [-1, -1])]
    assert shown == [2, 0]
    counts = [("jump", shown[0]), ("turn", 1), ("jump", shown[1])]
    assert numbered_phases(counts) == {"jump": ["phase 1", "phase 2"], "turn": ["phase 1"]}
