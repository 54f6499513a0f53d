"""Warps with open ends: inverses, fixed ends as a special case, derivatives, coverage."""

import pytest
import torch

from tests.tolerances import TOLERANCES
from tpl_lightning.functional.warps import cpab_warp
from tpl_lightning.functional.warps.ends import (
    coverage,
    prototype_times,
    prototype_times_jacobian,
    video_times,
    with_ends,
)

GRID = torch.linspace(0, 1, 33, dtype=torch.float64)


def _theta(*ends):
    warp = 0.5 * torch.randn(len(ends), 15, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.cat([warp, torch.tensor(ends, dtype=torch.float64)], 1)


def test_ends_of_the_prototype_are_fixed_ends():
    theta = _theta((0.0, 1.0))
    warp = theta[:, :15]
    torch.testing.assert_close(with_ends(warp), theta)
    torch.testing.assert_close(video_times(theta, GRID, num_cells=16), cpab_warp(warp, GRID))
    torch.testing.assert_close(prototype_times(theta, GRID, num_cells=16), cpab_warp(-warp, GRID))
    torch.testing.assert_close(video_times(warp, GRID, num_cells=16), cpab_warp(warp, GRID))


def test_a_video_that_misses_both_ends_lies_within_the_prototype():
    theta = _theta((0.2, 0.9))
    position = prototype_times(theta, GRID, num_cells=16)
    assert position[0, 0] == pytest.approx(0.2)
    assert position[0, -1] == pytest.approx(0.9)
    torch.testing.assert_close(video_times(theta, position, num_cells=16), GRID.expand(1, -1))
    times = video_times(theta, torch.tensor([0.0, 0.1, 0.2, 0.9, 1.0]).double(), num_cells=16)[0]
    assert times[0] < times[1] < 0
    assert times[2] == pytest.approx(0.0, abs=1e-7)
    assert times[3] == pytest.approx(1.0)
    assert times[4] > 1


def test_idle_frames_are_held_at_the_ends():
    theta = _theta((-0.3, 1.2))
    position = prototype_times(theta, GRID, num_cells=16)[0]
    ends = video_times(theta, torch.tensor([0.0, 1.0]).double(), num_cells=16)[0]
    assert 0 < ends[0] < ends[1] < 1
    assert (position[ends[0] > GRID] == 0).all()
    assert (position[ends[1] < GRID] == 1).all()
    inside = (ends[0] < GRID) & (ends[1] > GRID)
    assert ((position[inside] > 0) & (position[inside] < 1)).all()


@pytest.mark.parametrize("ends", [(0.2, 0.9), (-0.3, 1.2), (0.1, 1.3)])
def test_the_derivative_is_that_of_differences(ends):
    theta = _theta(ends)
    _, jacobian = prototype_times_jacobian(theta, GRID, num_cells=16)
    for k in range(17):
        step = torch.zeros_like(theta)
        step[0, k] = 1e-6
        ahead, behind = (prototype_times(theta + s * step, GRID, num_cells=16) for s in (1, -1))
        torch.testing.assert_close(jacobian[..., k], (ahead - behind) / 2e-6, atol=1e-6, rtol=1e-4)


def test_coverage_is_one_in_the_video_and_next_to_nothing_far_from_it():
    weight = coverage(torch.tensor([[-0.5, -0.01, 0.0, 0.5, 1.0, 1.01, 1.5]]))[0, :, 0]
    torch.testing.assert_close(weight, torch.tensor([0.001, 0.5, 1.0, 1.0, 1.0, 0.5, 0.001]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("ways", [(video_times, prototype_times), (prototype_times, video_times)])
def test_gradients_equal_finite_differences(ways):
    way, inverse = ways
    theta, times = _theta((0.2, 0.9), (-0.3, 1.2)), torch.linspace(0.31, 0.83, 7, dtype=torch.float64).expand(2, -1)
    assert torch.autograd.gradcheck(lambda t, x: way(t, x, num_cells=16), (theta.requires_grad_(), times), atol=1e-5)
    torch.testing.assert_close(inverse(theta, way(theta, times, num_cells=16), num_cells=16), times)


@pytest.mark.parametrize("way", [video_times, prototype_times])
def test_a_video_alone_is_warped_as_among_others_and_in_single_precision_too(way):
    theta = _theta((0.2, 0.9), (-0.3, 1.2), (0.0, 1.0))
    together = way(theta, GRID, num_cells=16)
    for i in range(3):
        assert torch.equal(way(theta[i : i + 1], GRID, num_cells=16)[0], together[i])
    single = way(theta.float(), GRID.float(), num_cells=16)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), together, **TOLERANCES[torch.float32])
