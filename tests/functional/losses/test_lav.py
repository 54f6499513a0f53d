"""Soft-DTW against every path, a plain loop and tslearn; the contrastive term against a plain loop; gradients."""

import math

import pytest
import torch
from tslearn.metrics import soft_dtw as tslearn_soft_dtw

from tests.tolerances import TOLERANCES
from tpl_lightning.functional.losses.lav import contrastive_idm, soft_dtw


def _cost(rows, columns, seed=0):
    return torch.rand(2, rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _all_paths(cost, i=0, j=0):
    here = float(cost[i, j])
    if (i, j) == (cost.shape[0] - 1, cost.shape[1] - 1):
        return [here]
    steps = [(i + 1, j), (i, j + 1), (i + 1, j + 1)]
    return [here + c for a, b in steps if a < cost.shape[0] and b < cost.shape[1] for c in _all_paths(cost, a, b)]


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (4, 1), (3, 5), (5, 3), (4, 4)])
@pytest.mark.parametrize("gamma", [0.05, 1.0])
def test_sums_over_all_paths(size, gamma):
    cost = _cost(*size)
    found = soft_dtw(cost, gamma)
    for i in range(2):
        expected = -gamma * math.log(sum(math.exp(-c / gamma) for c in _all_paths(cost[i])))
        assert float(found[i]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("gamma", [0.01, 0.1, 1.0])
def test_agrees_with_tslearn(gamma):
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (20, 13))
    found = soft_dtw(torch.cdist(first, second).square()[None], gamma)
    expected = tslearn_soft_dtw(first.numpy(), second.numpy(), gamma=gamma)
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("gamma", [0.1, 1.0])
def test_gradient(gamma):
    assert torch.autograd.gradcheck(lambda c: soft_dtw(c, gamma), _cost(4, 3).requires_grad_())


def test_float32_and_long_videos_stay_finite():
    cost = (4 * _cost(90, 70).float()).requires_grad_()
    found = soft_dtw(cost, 0.01)
    found.sum().backward()
    torch.testing.assert_close(found, soft_dtw(cost.double(), 0.01).float(), rtol=1e-4, atol=1e-4)
    assert torch.isfinite(cost.grad).all()
    # The gradient is the chance that a path goes through a pair: all go through both ends.
    torch.testing.assert_close(cost.grad[:, 0, 0], torch.ones(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(cost.grad[:, -1, -1], torch.ones(2), atol=1e-3, rtol=0)


def _slow_contrast(embedding, times, window, margin):
    count = len(times)
    pushed = pulled = push = pull = 0.0
    for i in range(count):
        for j in range(count):
            gap = abs(float(times[i] - times[j]))
            weight = (gap * count) ** 2 + 1
            distance = float((embedding[i] - embedding[j]).square().sum())
            if gap > window:
                pushed, push = pushed + weight * max(0.0, margin - distance), push + weight
            else:
                pulled, pull = pulled + distance / weight, pull + 1 / weight
    return (pushed / push if push else 0.0) + pulled / pull


@pytest.mark.parametrize(("window", "margin"), [(0.15, 2.0), (0.5, 0.7), (0.999, 2.0)])
def test_contrast_equals_plain_loops(window, margin):
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(2, 9, 3, generator=generator, dtype=torch.float64) / 2
    times = torch.rand(2, 9, generator=generator, dtype=torch.float64).sort().values
    found = contrastive_idm(embedding, times, window=window, margin=margin)
    for i in range(2):
        assert float(found[i]) == pytest.approx(_slow_contrast(embedding[i], times[i], window, margin), rel=1e-9)


def test_contrast_has_a_gradient():
    embedding = torch.randn(1, 5, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64).requires_grad_()
    times = torch.linspace(0, 1, 5, dtype=torch.float64)[None]
    assert torch.autograd.gradcheck(lambda e: contrastive_idm(e, times, window=0.3, margin=50.0), embedding)


def test_contrast_by_default_is_that_of_the_paper():
    embedding = torch.randn(2, 12, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    times = torch.linspace(0, 1, 12, dtype=torch.float64).expand(2, -1)
    by_default = contrastive_idm(embedding, times)
    torch.testing.assert_close(by_default, contrastive_idm(embedding, times, window=0.15, margin=2.0), rtol=0, atol=0)


def test_a_video_alone_costs_what_it_does_among_others():
    cost = _cost(6, 8)
    embedding = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    times = torch.linspace(0, 1, 9, dtype=torch.float64).expand(2, -1)
    for i in range(2):
        torch.testing.assert_close(soft_dtw(cost[i : i + 1], 0.1)[0], soft_dtw(cost, 0.1)[i])
        alone = contrastive_idm(embedding[i : i + 1], times[i : i + 1])[0]
        torch.testing.assert_close(alone, contrastive_idm(embedding, times)[i])
    single = contrastive_idm(embedding.float(), times.float())
    torch.testing.assert_close(single.double(), contrastive_idm(embedding, times), **TOLERANCES[torch.float32])
