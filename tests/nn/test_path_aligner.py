"""The aligner that sees the prototype: known warps, gradients, invariances, half precision; its space of comparison."""

from dataclasses import replace

import pytest
import torch

from tpl_lightning.functional.smoothing import sample_rows
from tpl_lightning.functional.warps.cpab import cpab_warp
from tpl_lightning.functional.warps.random import random_theta
from tpl_lightning.nn.path_aligner import COARSE, DETAIL, ComparisonSpace, PathAligner

GRID = torch.linspace(0, 1, 128)
ICAE = torch.tensor(0.02)


def _curves(count=4, channels=6, seed=0):
    """Smooth signals of variance about 1, one for each video."""
    generator = torch.Generator().manual_seed(seed)
    phase, speed = torch.rand(2, count, channels, 1, generator=generator)
    waves = torch.cos(6.3 * (phase + (1 + 3 * speed) * GRID)).transpose(1, 2)
    return waves / (channels / 2) ** 0.5


def _warped(prototype, strength=0.5, seed=1):
    """Return videos U with U ∘ T^theta the prototype, and theta."""
    generator = torch.Generator().manual_seed(seed)
    theta = random_theta(len(prototype), strength=strength, like=prototype, generator=generator)
    return sample_rows(prototype, cpab_warp(-theta, GRID)), theta


def test_known_warps_are_found():
    prototype = _curves()
    videos, theta = _warped(prototype)
    found = PathAligner()(videos, prototype, ICAE)
    error = (cpab_warp(-found, GRID) - cpab_warp(-theta, GRID)).abs().mean()
    moved = (cpab_warp(-theta, GRID) - GRID).abs().mean()
    assert error < 0.1 * moved
    aligned = sample_rows(videos, cpab_warp(found, GRID))  # the direction: T maps prototype time to video time
    assert (aligned - prototype).square().mean() < 0.05 * (videos - prototype).square().mean()


def test_detail_finds_steeper_warps():
    prototype = _curves(channels=12)
    videos, theta = _warped(prototype, strength=1.5)
    errors = []
    for options in (COARSE, replace(DETAIL, grid=128, points=128)):
        found = PathAligner(options)(videos, prototype, ICAE)
        position = cpab_warp(-found, GRID, num_cells=options.num_cells)
        errors.append(float((position - cpab_warp(-theta, GRID)).abs().mean()))
    assert errors[1] < errors[0]


def test_identical_signals_stay_where_they_are_and_equal_ones_do_not_fail():
    prototype = _curves()
    found = PathAligner()(prototype, prototype, ICAE)
    assert (cpab_warp(found, GRID) - GRID).abs().max() < 5e-3
    still = torch.zeros(2, 128, 3)
    assert torch.isfinite(PathAligner()(still, still, torch.zeros(()))).all()


def test_no_video_changes_the_warp_of_another():
    prototype = _curves()
    videos, _ = _warped(prototype)
    together = PathAligner()(videos, prototype, ICAE)
    for i in range(len(videos)):
        torch.testing.assert_close(
            PathAligner()(videos[i : i + 1], prototype[i : i + 1], ICAE)[0], together[i], rtol=0, atol=2e-4
        )


def test_gradients_reach_videos_and_equal_finite_differences():
    options = replace(COARSE, points=16, grid=16, num_cells=4, smoothness=1e-6, corrections=0)
    generator = torch.Generator().manual_seed(2)
    signal, prototype = (torch.rand(1, 16, 2, dtype=torch.float64, generator=generator) for _ in range(2))
    signal.requires_grad_()
    aligner = PathAligner(options)
    icae = torch.tensor(0.3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: aligner(s, prototype, icae), (signal,), eps=1e-7, atol=1e-4)


def test_bfloat16_and_autocast_are_computed_in_full_precision():
    prototype = _curves()
    videos, _ = _warped(prototype)
    expected = PathAligner()(videos, prototype, ICAE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(PathAligner()(videos, prototype, ICAE), expected)
    found = PathAligner()(videos.bfloat16(), prototype.bfloat16(), ICAE)
    assert found.dtype == torch.float32
    assert (cpab_warp(found, GRID) - cpab_warp(expected, GRID)).abs().max() < 0.02


def test_derivatives_have_their_share_of_the_energy():
    latent = _curves(channels=4)
    space = ComparisonSpace(4, derivative=0.3, discriminant=False)
    space.calibrate(latent, 0.0125)
    both = space.beside(latent, 0.0125)
    energy = both.square().sum((0, 1))
    assert energy[4:].sum() / energy.sum() == pytest.approx(0.3, abs=1e-4)
    space.renew(both, torch.zeros(4, dtype=torch.long), num_actions=1, shrinkage=0.2)
    compared = space(both)
    assert (compared - compared.mean(1, keepdim=True)).square().sum(-1).mean() == pytest.approx(1.0, abs=1e-4)


def test_the_discriminant_projection_puts_shared_signal_before_noise():
    generator = torch.Generator().manual_seed(3)
    shared = _curves(count=1, channels=2).expand(8, -1, -1)
    noise = 3 * torch.randn(8, 128, 4, generator=generator)
    features = torch.cat([shared, noise], -1)
    space = ComparisonSpace(6, derivative=0.0, discriminant=True)
    space.renew(features, torch.zeros(8, dtype=torch.long), num_actions=1, shrinkage=0.2)
    energy = features.square().mean((0, 1))
    weight = space.projection.square().sum(1) * energy  # what of each channel is compared
    assert energy[:2].sum() < 0.1 * energy.sum()
    assert weight[:2].sum() > 0.5 * weight.sum()


def test_open_ends_find_what_a_video_misses():
    prototype = _curves(channels=12)
    aligner = PathAligner(replace(COARSE, ends=True))
    times = torch.linspace(0.2, 0.85, 128).expand(len(prototype), -1)  # videos show this part of the prototype
    theta = aligner(sample_rows(prototype, times), prototype, ICAE)
    assert theta.shape == (4, 17)
    torch.testing.assert_close(theta[:, -2:], torch.tensor([[0.2, 0.85]]).expand(4, 2), atol=0.03, rtol=0)
    whole = aligner(prototype, prototype, ICAE)
    torch.testing.assert_close(whole[:, -2:], torch.tensor([[0.0, 1.0]]).expand(4, 2), atol=0.02, rtol=0)
