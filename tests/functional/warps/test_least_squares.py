"""Least-squares warps against known warps, scipy's least squares, and finite differences."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from tests.tolerances import TOLERANCES
from tpl_lightning.functional.warps.cpab import cell_slopes, cpab_warp
from tpl_lightning.functional.warps.ends import prototype_times
from tpl_lightning.functional.warps.least_squares import least_squares_warps
from tpl_lightning.functional.warps.random import random_theta

GRID = torch.linspace(0, 1, 64, dtype=torch.float64)


def _known(strength, num_cells=16, count=3):
    generator = torch.Generator().manual_seed(0)
    like = torch.zeros((), dtype=torch.float64)
    theta = random_theta(count, num_cells=num_cells, strength=strength, like=like, generator=generator)
    return theta, cpab_warp(-theta, GRID, num_cells=num_cells)


@pytest.mark.parametrize(("strength", "num_cells"), [(0.2, 8), (0.5, 16), (1.0, 16)])
def test_known_warps_are_found(strength, num_cells):
    theta, position = _known(strength, num_cells)
    found = least_squares_warps(position, torch.ones_like(position), num_cells=num_cells, smoothness=0.0, corrections=8)
    torch.testing.assert_close(cpab_warp(-found, GRID, num_cells=num_cells), position, rtol=0, atol=1e-4)
    torch.testing.assert_close(found, theta, rtol=0, atol=0.01)


def test_the_first_solve_is_exact_to_second_order():
    errors = []
    wave = torch.sin(torch.pi * torch.arange(1, 16, dtype=torch.float64) / 16)[None]
    for strength in (1.0, 0.5):
        position = cpab_warp(-strength * wave, GRID)
        found = least_squares_warps(position, torch.ones_like(position), num_cells=16, smoothness=0.0, corrections=0)
        errors.append(float((cpab_warp(-found, GRID) - position).abs().max()))
    assert errors[1] < errors[0] / 5  # third order: 8 times less, but for the kinks of the field


def test_weights_and_prior_are_those_of_the_energy():
    _, position = _known(0.6, count=1)
    generator = torch.Generator().manual_seed(1)
    position = (position + 0.02 * torch.randn(position.shape, dtype=torch.float64, generator=generator)).clamp(0, 1)
    weight = torch.rand(position.shape, dtype=torch.float64, generator=generator)
    share, smoothness = (weight / weight.sum())[0].numpy(), 1e-3

    def residual(theta):
        theta = torch.from_numpy(theta)[None]
        error = (cpab_warp(-theta, GRID) - position)[0].numpy()
        slopes = cell_slopes(theta)[0].numpy()
        return np.concatenate([np.sqrt(share) * error, np.sqrt(smoothness / 16) * slopes])

    best = least_squares(residual, np.zeros(15), xtol=1e-12, ftol=1e-12, gtol=1e-12).x
    found = least_squares_warps(position, weight, num_cells=16, smoothness=smoothness, corrections=30)[0].numpy()
    np.testing.assert_allclose(found, best, atol=1e-5)


def test_gradients_equal_finite_differences():
    _, position = _known(0.4, count=2)
    inner = position[:, 1:-1].clone().requires_grad_()  # the ends sit on knots, where the basis has kinks
    weight = torch.rand(2, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()

    def first(inner, weight):
        whole = torch.cat([position[:, :1], inner, position[:, -1:]], 1)
        return least_squares_warps(whole, weight, num_cells=16, smoothness=1e-4, corrections=0)

    assert torch.autograd.gradcheck(first, (inner, weight))

    def settled(inner):
        whole = torch.cat([position[:, :1], inner, position[:, -1:]], 1)
        return least_squares_warps(whole, torch.ones_like(whole), num_cells=16, smoothness=1e-9, corrections=8)

    assert torch.autograd.gradcheck(settled, (inner,), eps=1e-7, atol=1e-2, rtol=1e-2)


def test_a_strong_prior_gives_the_identity_and_scale_of_weights_means_nothing():
    _, position = _known(0.5)
    ones = torch.ones_like(position)
    assert least_squares_warps(position, ones, num_cells=16, smoothness=1e6).abs().max() < 1e-4
    torch.testing.assert_close(
        least_squares_warps(position, ones, num_cells=16, smoothness=1e-3),
        least_squares_warps(position, 100 * ones, num_cells=16, smoothness=1e-3),
    )


def test_open_ends_and_warps_are_found_together():
    theta, _ = _known(0.4, count=3)
    ends = torch.tensor([[0.2, 0.9], [-0.1, 1.0], [0.0, 1.2]], dtype=torch.float64)
    expected = torch.cat([theta.double(), ends], 1)
    time = torch.linspace(0, 1, 64, dtype=torch.float64)
    position = prototype_times(expected, time, num_cells=16)
    weight = torch.ones_like(position)
    found = least_squares_warps(position, weight, num_cells=16, smoothness=1e-7, corrections=8, ends=True)
    torch.testing.assert_close(found[0, -2:], ends[0], atol=0.01, rtol=0)  # how long idle parts are is up to the warp
    torch.testing.assert_close(prototype_times(found, time, num_cells=16), position, atol=0.01, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_lower_precision_is_near_double_and_no_video_changes_another(dtype):
    _, position = _known(0.5)
    position = position.to(dtype)

    def solve(position):
        return least_squares_warps(position, torch.ones_like(position), num_cells=16, smoothness=1e-3, corrections=2)

    together = solve(position.double())
    for i in range(3):
        torch.testing.assert_close(solve(position[i : i + 1].double())[0], together[i], **TOLERANCES[torch.float64])
    torch.testing.assert_close(solve(position).double(), together, **TOLERANCES[dtype])
