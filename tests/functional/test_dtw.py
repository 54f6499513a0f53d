"""Paths against tslearn's, and against every path where there are few."""

import numpy as np
import pytest
import torch
from tslearn.metrics import dtw_path_from_metric

from tpl_lightning.functional.dtw import dtw_positions


def _expected(path, frames, points):
    faced = [[p for g, p in path if g == frame] for frame in range(frames)]
    position = np.array([(f[0] + f[-1]) / 2 for f in faced]) / (points - 1)
    position[0], position[-1] = 0, 1
    return position


@pytest.mark.parametrize(("frames", "points"), [(2, 2), (7, 5), (5, 9), (40, 33), (31, 64)])
def test_positions_are_those_of_tslearns_path(frames, points):
    cost = torch.rand(6, frames, points, generator=torch.Generator().manual_seed(frames), dtype=torch.float64)
    found = dtw_positions(cost)
    for i in range(len(cost)):
        path, _ = dtw_path_from_metric(cost[i].numpy(), metric="precomputed")
        np.testing.assert_allclose(found[i].numpy(), _expected(path, frames, points), atol=1e-12)


def test_a_shifted_signal_is_found_and_padding_of_the_batch_changes_nothing():
    time = torch.linspace(0, 1, 120)
    slow, fast = torch.sin(12 * time**2), torch.sin(12 * time**1.2)
    cost = (slow[None, :, None] - fast[None, None, :]).square()
    position = dtw_positions(cost)[0]
    torch.testing.assert_close(position, time ** (2 / 1.2), atol=0.03, rtol=0)
    assert (position.diff() >= 0).all()
    other = torch.rand(3, 120, 120)
    torch.testing.assert_close(dtw_positions(torch.cat([other, cost]))[3], position, atol=0, rtol=0)


def test_open_ends_leave_out_what_does_not_fit():
    """A video that misses the begin starts later on the prototype; one that idles first stays at 0 meanwhile."""
    prototype = torch.linspace(0, 3, 31)
    late, idle = prototype[10:], torch.cat([torch.full((8,), 9.0), prototype])
    costs = [(video[:, None] - prototype).square().unsqueeze(0) for video in (late, idle)]
    positions = [dtw_positions(cost, skip=torch.tensor([0.5]))[0] for cost in costs]
    torch.testing.assert_close(positions[0], torch.linspace(0, 1, 31)[10:])
    assert (positions[1][:8] == 0).all()
    torch.testing.assert_close(positions[1][8:], torch.linspace(0, 1, 31))
