"""Paths against tslearn's, and against every path where there are few."""

import numpy as np
import pytest
import torch
from tslearn.metrics import dtw_path_from_metric

from tests.tolerances import TOLERANCES
from tpl_lightning.functional.dtw import dtw_positions, open_costs


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


def _paths(rows, columns):
    """All monotone paths through a table."""

    def onwards(row, column):
        if (row, column) == (rows - 1, columns - 1):
            yield [(row, column)]
            return
        for to in ((row + 1, column + 1), (row + 1, column), (row, column + 1)):
            if to[0] < rows and to[1] < columns:
                yield from ([(row, column), *rest] for rest in onwards(*to))

    return list(onwards(0, 0))


@pytest.mark.parametrize("skip", [0.01, 0.3, 0.5, 0.9])
@pytest.mark.parametrize(("frames", "points"), [(2, 3), (3, 2), (4, 4)])
def test_open_ends_take_the_cheapest_of_all_paths(frames, points, skip):
    """Through a table with a border all around, which costs ``skip`` a cell; at least one frame faces a point."""
    costs = torch.rand(12, frames, points, generator=torch.Generator().manual_seed(points), dtype=torch.float64)
    found = dtw_positions(costs, skip=torch.full((12,), skip))
    inner = {(g, p) for g in range(1, frames + 1) for p in range(1, points + 1)}
    paths = [path for path in _paths(frames + 2, points + 2) if inner & set(path)]
    assert found.shape == (12, frames)
    for cost, position in zip(costs.numpy(), found, strict=True):
        table = np.pad(cost, 1, constant_values=np.float32(skip))
        table[0, 0] = table[-1, -1] = 0
        best = min(paths, key=lambda path: sum(table[cell] for cell in path))
        faced = [[min(max(p, 1), points) - 1 for g, p in best if g == frame + 1] for frame in range(frames)]
        # The first frame may face points before it, and the last one those behind it, which are not in the video.
        faced[0], faced[-1] = faced[0][-1:], faced[-1][:1]
        expected = [(f[0] + f[-1]) / 2 / (points - 1) for f in faced]
        np.testing.assert_allclose(position.numpy(), expected, atol=1e-12)
    assert (found.diff(dim=1) >= 0).all()


def test_the_border_of_open_ends_costs_what_skipping_does():
    cost = torch.arange(6, dtype=torch.float64).view(1, 2, 3)
    framed = open_costs(cost, torch.tensor([0.5]))[0]
    far = 6e6
    expected = [[0, 0.5, 0.5, far, far], [0.5, 0, 1, 2, 0.5], [far, 3, 4, 5, 0.5], [far, 0.5, 0.5, 0.5, 0]]
    assert framed.tolist() == expected


def test_of_equal_paths_the_most_diagonal_is_taken():
    positions = dtw_positions(torch.zeros(2, 4, 4))
    torch.testing.assert_close(positions, torch.linspace(0, 1, 4).expand(2, -1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("skip", [None, 2.0])
def test_costs_that_lower_precision_can_add_up_have_the_same_paths(dtype, skip):
    cost = torch.randint(0, 6, (5, 12, 9), generator=torch.Generator().manual_seed(6)).to(dtype)
    skip = None if skip is None else torch.full((5,), skip)
    expected = dtw_positions(cost.double(), skip)
    torch.testing.assert_close(dtw_positions(cost, skip).double(), expected, **TOLERANCES[dtype])
