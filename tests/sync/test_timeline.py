"""The picture of what a recording shows when."""

import io

import numpy as np
import pytest
from PIL import Image

from tpl_lightning.labels import Occurrence
from tpl_lightning.sync.timeline import draw_timeline


def drawn(found, actions=("jump", "turn"), duration=60.0):
    return np.asarray(Image.open(io.BytesIO(draw_timeline(found, actions, duration, title="made"))).convert("RGB"))


def colored(picture):
    """The columns in which something coloured is drawn, and how many pixels."""
    is_colored = np.ptp(picture.astype(int), axis=2) > 60
    return np.flatnonzero(is_colored.any(axis=0)), int(is_colored.sum())


def test_a_bar_stands_where_the_occurrence_is():
    nothing = drawn([])
    assert colored(nothing)[1] == 0
    early, late = (colored(drawn([Occurrence(a, a + 6.0, "jump", 1.0)]))[0] for a in (0.0, 54.0))
    width = early[-1] - early[0]
    assert abs((late[-1] - late[0]) - width) <= 2
    assert late[0] - early[0] == pytest.approx(9 * width, rel=0.03)


def test_doubtful_ones_are_paler_and_actions_have_rows_and_colours():
    sure, doubtful = (drawn([Occurrence(10.0, 50.0, "jump", score)]) for score in (1.0, 0.3))
    assert doubtful.mean() > sure.mean()
    both = drawn([Occurrence(10.0, 50.0, "jump", 1.0), Occurrence(10.0, 50.0, "turn", 1.0)])
    assert colored(both)[1] > 1.8 * colored(sure)[1]


def test_long_recordings_take_several_lines():
    heights = [drawn([], duration=seconds).shape[0] for seconds in (5.0, 60.0, 66.0, 180.0, 7200.0)]
    assert heights[0] == heights[1] == heights[2]  # a few seconds more make no line of their own
    assert heights[2] < heights[3] < heights[4]
