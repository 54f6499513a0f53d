"""The expected path against the sum over all paths, soft-DTW's gradient, hard DTW, and finite differences."""

import pytest
import torch

from tests.tolerances import TOLERANCES
from tpl_lightning.functional.dtw import dtw_positions
from tpl_lightning.functional.expected_paths import expected_path, path_posterior
from tpl_lightning.functional.losses.lav import soft_dtw


def _by_enumeration(cost, gamma):
    """Sum over every path from corner to corner."""
    rows, columns = cost.shape
    visited, total = torch.zeros_like(cost), torch.zeros((), dtype=cost.dtype)

    def walk(i, j, cells, spent):
        nonlocal total
        cells, spent = [*cells, (i, j)], spent + cost[i, j]
        if (i, j) == (rows - 1, columns - 1):
            weight = torch.exp(-spent / gamma)
            total = total + weight
            for cell in cells:
                visited[cell] += weight
        for a, b in ((i + 1, j), (i, j + 1), (i + 1, j + 1)):
            if a < rows and b < columns:
                walk(a, b, cells, spent)

    walk(0, 0, [], torch.zeros((), dtype=cost.dtype))
    return visited / total


@pytest.mark.parametrize(("rows", "columns"), [(1, 4), (4, 1), (3, 5), (5, 4)])
def test_posterior_equals_the_sum_over_all_paths(rows, columns):
    cost = torch.rand(2, rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gamma = torch.tensor([0.2, 1.0], dtype=torch.float64)
    found = path_posterior(cost, gamma)
    for i in range(2):
        torch.testing.assert_close(found[i], _by_enumeration(cost[i], gamma[i]), rtol=1e-12, atol=1e-12)


def test_posterior_is_the_gradient_of_soft_dtw():
    cost = torch.rand(3, 7, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    (gradient,) = torch.autograd.grad(soft_dtw(cost, 0.3).sum(), cost)
    torch.testing.assert_close(path_posterior(cost.detach(), 0.3), gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("gamma", [0.05, 0.5])
def test_gradients_equal_finite_differences(gamma):
    cost = torch.rand(2, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: path_posterior(c, gamma), (cost,))
    assert torch.autograd.gradcheck(lambda c: expected_path(c, gamma), (cost,))


def test_a_small_temperature_gives_the_best_path():
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(1, 12, 3, dtype=torch.float64, generator=generator)
    cost = torch.cdist(points[:, [0, 0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11]], points).square()
    mean, variance = expected_path(cost, 1e-4)
    torch.testing.assert_close(mean, dtw_positions(cost), rtol=0, atol=1e-6)
    assert variance.max() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_means_never_decrease_and_extreme_costs_stay_finite(dtype):
    generator = torch.Generator().manual_seed(4)
    for scale, gamma in ((1.0, 0.3), (1e4, 1e-3), (0.0, 1.0)):
        cost = (scale * torch.rand(2, 40, 30, dtype=dtype, generator=generator)).requires_grad_()
        mean, variance = expected_path(cost, gamma)
        (mean.sum() + variance.sum()).backward()
        assert torch.isfinite(mean).all()
        assert torch.isfinite(variance).all()
        assert torch.isfinite(cost.grad).all()
        assert (mean.diff(dim=1) >= -1e-5).all()
        assert 0 <= mean.min() <= mean.max() <= 1 + 1e-6


def test_no_video_changes_the_path_of_another():
    cost = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(5))
    together = expected_path(cost, 0.2)[0]
    for i in range(3):
        torch.testing.assert_close(expected_path(cost[i : i + 1], 0.2)[0][0], together[i], rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_precision_is_near_double(dtype):
    cost = torch.rand(3, 12, 9, generator=torch.Generator().manual_seed(6)).to(dtype)
    for found, expected in zip(expected_path(cost, 0.3), expected_path(cost.double(), 0.3), strict=True):
        torch.testing.assert_close(found.double(), expected, **TOLERANCES[dtype])
