"""Which entries of a padded batch are data, and when they are."""

import pytest
import torch

from tpl_lightning.functional import frame_times, length_mask, within_ends


def test_masks_are_true_at_the_first_frames_of_each_row():
    mask = length_mask(torch.tensor([0, 1, 3, 4]), 4)
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[k < n for k in range(4)] for n in (0, 1, 3, 4)]
    assert length_mask(torch.tensor([5]), 2).tolist() == [[True, True]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_frames_lie_evenly_from_0_to_1_and_padding_at_1(dtype):
    times = frame_times(torch.tensor([1, 2, 3, 6]), 6, dtype)
    assert times.dtype == dtype
    expected = [[0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1], [0, 0.5, 1, 1, 1, 1], [0, 0.2, 0.4, 0.6, 0.8, 1]]
    torch.testing.assert_close(times, torch.tensor(expected, dtype=dtype))
    assert frame_times(torch.tensor([3]), 2).dtype == torch.float32


def test_times_beyond_the_ends_by_more_than_rounding_are_outside():
    times = torch.tensor([-1.0, -1e-5, -5e-7, 0.0, 0.5, 1.0, 1 + 5e-7, 1 + 1e-5, 2.0], dtype=torch.float64)
    assert within_ends(times).tolist() == [False, False, True, True, True, True, True, False, False]


def test_the_last_frame_lies_at_1_to_the_bit_whatever_the_length():
    last = frame_times(torch.arange(2, 400), 399)[torch.arange(398), torch.arange(1, 399)]
    assert torch.equal(last, torch.ones(398))
