"""Cycle-back regression against plain loops, its gradient, and what it is small for."""

import math

import pytest
import torch

from tests.tolerances import TOLERANCES
from tpl_lightning.functional.losses.tcc import cycle_back_regression


def _slow(query, other, times, temperature, weight):
    total, count = 0.0, len(query)
    for i in range(count):
        alpha = [math.exp(-float((query[i] - v).square().sum()) / temperature) for v in other]
        neighbour = sum(a * v for a, v in zip(alpha, other, strict=True)) / sum(alpha)
        beta = [math.exp(-float((neighbour - u).square().sum()) / temperature) for u in query]
        beta = [b / sum(beta) for b in beta]
        mean = sum(b * float(t) for b, t in zip(beta, times, strict=True))
        variance = sum(b * (float(t) - mean) ** 2 for b, t in zip(beta, times, strict=True)) + 1 / (12 * count**2)
        total += (float(times[i]) - mean) ** 2 / variance + weight * math.log(math.sqrt(variance))
    return total / count


def _videos(frames, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, frames, 4, generator=generator, dtype=torch.float64)


def _times(frames):
    return (torch.arange(frames, dtype=torch.float64) / (frames - 1)).square().expand(3, -1)


@pytest.mark.parametrize(("temperature", "weight"), [(0.1, 0.001), (1.0, 0.0), (3.0, 0.5)])
def test_equals_plain_loops(temperature, weight):
    query, other, times = _videos(7, 0), _videos(5, 1), _times(7)
    found = cycle_back_regression(query, other, times, temperature=temperature, variance_weight=weight)
    for i in range(3):
        expected = _slow(query[i], other[i], times[i], temperature, weight)
        assert float(found[i]) == pytest.approx(expected, rel=1e-9)


def test_gradient():
    query, other = _videos(4, 0).requires_grad_(), _videos(3, 1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a, b: cycle_back_regression(a, b, _times(4), temperature=1.0), (query, other)
    )


def test_coinciding_frames_have_a_gradient():
    query = _videos(6, 0).requires_grad_()
    cycle_back_regression(query, query.detach().clone(), _times(6)).sum().backward()
    assert torch.isfinite(query.grad).all()


def test_videos_in_step_cost_less_than_others():
    angle = torch.linspace(0, 3, 20, dtype=torch.float64)
    walk = torch.stack([angle.cos(), angle.sin()], -1)[None]
    times = torch.linspace(0, 1, 20, dtype=torch.float64)[None]
    still = walk[:, :1].expand(-1, 20, -1)
    assert cycle_back_regression(walk, walk, times, temperature=0.01) < 0.2
    # With nothing to tell frames apart every frame cycles back to the middle.
    assert cycle_back_regression(still, walk, times, temperature=0.01) > 0.8


def test_a_pair_alone_costs_what_it_does_among_others_and_single_precision_suffices():
    query, other, times = _videos(7, 0), _videos(5, 1), _times(7)
    together = cycle_back_regression(query, other, times, temperature=1.0)
    for i in range(3):
        alone = cycle_back_regression(query[i : i + 1], other[i : i + 1], times[i : i + 1], temperature=1.0)
        torch.testing.assert_close(alone[0], together[i], **TOLERANCES[torch.float64])
    single = cycle_back_regression(query.float(), other.float(), times.float(), temperature=1.0)
    torch.testing.assert_close(single.double(), together, **TOLERANCES[torch.float32])
