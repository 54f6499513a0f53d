"""The diagnosis on signals whose answers are known."""

import pytest
import torch

from tpl_lightning.functional.scores.diagnosis import clock_share, left_over, relative_icae
from tpl_lightning.functional.smoothing import sample_rows
from tpl_lightning.functional.warps.cpab import cpab_warp
from tpl_lightning.functional.warps.random import random_theta

GRID = torch.linspace(0, 1, 128, dtype=torch.float64)


def _warps(count, strength, seed):
    generator = torch.Generator().manual_seed(seed)
    theta = random_theta(count, strength=strength, like=torch.zeros((), dtype=torch.float64), generator=generator)
    return cpab_warp(theta, GRID), cpab_warp(-theta, GRID)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_left_over_is_the_share_of_the_warp_that_is_not_found(share):
    _, position = _warps(6, 0.5, 0)
    warp, _ = _warps(6, 0.5, 1)
    expected = sample_rows(position.unsqueeze(-1), warp).squeeze(-1)
    found = torch.lerp(expected, position, share)
    assert left_over(position, found, warp) == pytest.approx(share, abs=1e-9)


def test_relative_icae_is_0_where_prototypes_explain_all_and_1_where_they_say_nothing():
    curve = torch.stack([torch.sin(7 * GRID), torch.cos(5 * GRID)], -1).expand(4, -1, -1)
    times, position = _warps(4, 0.5, 2)
    videos = sample_rows(curve, position)  # U ∘ T is the curve
    torch.testing.assert_close(sample_rows(videos, times), curve, rtol=0, atol=0.02)
    assert relative_icae(videos, position, curve) < 1e-3
    mean = videos.mean(1, keepdim=True).expand_as(videos)
    assert relative_icae(videos, position, mean) == pytest.approx(1.0, abs=1e-9)


def test_clock_share_tells_clocks_from_latents_that_look_at_the_video():
    action = torch.tensor([0, 0, 0, 1, 1, 1])
    slopes = torch.tensor([1.0, 1.0, 1.0, -2.0, -2.0, -2.0]).view(-1, 1, 1)
    clock = slopes * GRID.view(1, -1, 1) ** 2
    assert clock_share(clock, action) == pytest.approx(1.0, abs=1e-9)
    noise = torch.randn(6, 128, 1, generator=torch.Generator().manual_seed(3))
    assert clock_share(noise, action) < 0.1
    own_pace = torch.sin(12 * _warps(6, 0.8, 4)[0]).unsqueeze(-1)
    assert clock_share(own_pace, action) < 0.6


def test_clock_share_is_the_share_of_the_variance_that_time_explains():
    """Of a cubic of time and a constant of each video, the cubic; actions are apart."""
    cubic = (2 * GRID - 1) ** 3 - GRID
    own = torch.tensor([1.0, -1.0, 0.5, -0.5], dtype=torch.float64).view(-1, 1, 1)
    latent = torch.cat([cubic.view(1, -1, 1) + own[:2], 7 - 2 * cubic.view(1, -1, 1) + own[2:]])
    explained = cubic.var(correction=0) * (1 + 4)
    expected = explained / (explained + 1 + 0.25)
    assert clock_share(latent, torch.tensor([3, 3, 8, 8])) == pytest.approx(float(expected), abs=1e-9)
    quartic = (GRID**4).expand(2, -1).unsqueeze(-1)
    assert 0.9 < clock_share(quartic, torch.tensor([0, 0])) < 1 - 1e-6


def test_a_constant_latent_has_no_clock_and_no_error():
    flat = torch.ones(2, 128, 3, dtype=torch.float64)
    assert clock_share(flat, torch.tensor([0, 0])) == pytest.approx(1.0)
    assert relative_icae(flat, GRID.expand(2, -1), flat) == 0
    assert relative_icae(flat, GRID.expand(2, -1), flat + 1e-3) == pytest.approx(3e-6 / 1e-12)
