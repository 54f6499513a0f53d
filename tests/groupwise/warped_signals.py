"""Videos that are warps of one smooth signal per action, and the energy of the direct fit, slowly."""

import torch

from tpl_lightning.functional.smoothing import sample_rows
from tpl_lightning.functional.warps.cpab import cell_slopes, cpab_warp

GRID = torch.linspace(0, 1, 128)


def warped_signals(count=12, actions=2, noise=0.0, seed=0, strength=1.0):
    """Videos that are warps of one smooth signal per action: signals (N, G, C), actions, true theta."""
    generator = torch.Generator().manual_seed(seed)
    waves = torch.randn(actions, 5, 6, generator=generator)
    clean = torch.cos(torch.pi * GRID[:, None] * torch.arange(1, 6)) @ waves  # (A, G, C)
    theta = strength * torch.randn(count, 15, generator=generator).cumsum(1) * 0.25
    theta = theta - theta.mean(1, keepdim=True)
    action = torch.arange(count) % actions
    # U_i = P o T^-theta, so that aligned = U_i o T^theta = P.
    signal = sample_rows(clean[action], cpab_warp(-theta, GRID))
    signal = signal + noise * torch.randn(signal.shape, generator=generator)
    signal = signal - signal.mean(1, keepdim=True)
    return signal / signal.square().sum(-1).mean().sqrt(), action, theta


def slow_energy(signal, prototype, theta, options):
    """The objective as it is written in ``groupwise.fit``, slowly, in float64."""
    times = cpab_warp(-theta, torch.linspace(0, 1, signal.shape[1], dtype=theta.dtype), num_cells=options.num_cells)
    residual = sample_rows(prototype, times) - signal
    level = residual.mean(1)
    slopes = cell_slopes(theta, num_cells=options.num_cells)
    error = residual.square().sum(-1).mean(1) - options.offset_shrinkage * level.square().sum(-1)
    return error + options.smoothness * slopes.square().mean(1)
