"""Where prototypes rest: videos that wait fidget, each in its own way."""

import pytest
import torch

from tpl_lightning.functional.warps import with_ends
from tpl_lightning.groupwise.rests import mean_rest, moving_ends

SIZE = 128
GRID = torch.linspace(0, 1, SIZE)


def _waiting(first, last, count=10, noise=0.05):
    """Videos that move alike from ``first`` to ``last``, and fidget all the time: signal, action, theta."""
    generator = torch.Generator().manual_seed(0)
    time = ((GRID - first) / (last - first)).clamp(0, 1)
    shared = torch.stack([time, torch.sin(6 * time), torch.cos(9 * time)], -1)
    fidget = noise * torch.randn(count, SIZE, 3, generator=generator)
    return shared + fidget, torch.zeros(count, dtype=torch.int64), with_ends(torch.zeros(count, 15))


@pytest.mark.parametrize(("first", "last"), [(0.2, 1.0), (0.0, 0.75), (0.15, 0.85)])
def test_a_rest_is_where_nothing_moves_in_all_videos_alike(first, last):
    found = moving_ends(*_waiting(first, last), num_actions=1, num_cells=16)
    torch.testing.assert_close(found, torch.tensor([[first, last]]), atol=0.025, rtol=0)


def test_short_rests_and_few_videos_are_left_alone():
    for arguments in ({"first": 0.05, "last": 0.96}, {"first": 0.2, "last": 0.8, "count": 6}):
        assert moving_ends(*_waiting(**arguments), num_actions=1, num_cells=16).tolist() == [[0.0, 1.0]]


def test_an_action_without_videos_and_one_that_never_moves_keep_their_ends():
    signal, action, theta = _waiting(0.2, 0.8)
    still = torch.zeros_like(signal)
    found = moving_ends(
        torch.cat([signal, still]), torch.cat([action, action + 2]), theta.repeat(2, 1), num_actions=3, num_cells=16
    )
    assert found[1:].tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert mean_rest(found) == pytest.approx((found[0, 0] + 1 - found[0, 1]).item() / 6)
