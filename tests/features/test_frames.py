"""Frames in batches: every one once, in order, and what is none is named by its number."""

import numpy as np
import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.features.frames import frame_batches


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (3, [3]), (4, [4]), (9, [4, 4, 1])])
def test_every_frame_once_in_order(count, sizes):
    frames = [np.full((2, 3, 3), number, np.uint8) for number in range(count)]
    batches = list(frame_batches(iter(frames), 4))
    assert [len(batch) for batch in batches] == sizes
    assert [int(frame[0, 0, 0]) for batch in batches for frame in batch] == list(range(count))


@pytest.mark.parametrize("wrong", [np.zeros((2, 3), np.uint8), np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 3))])
def test_what_is_no_picture_is_named(wrong):
    frames = [np.zeros((2, 3, 3), np.uint8)] * 5 + [wrong]
    with pytest.raises(UserError, match="at frame 5"):
        list(frame_batches(frames, 4))
