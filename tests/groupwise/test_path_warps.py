"""Paths as smooth warps."""

import pytest
import torch

from tpl_lightning.functional.smoothing import sample_rows
from tpl_lightning.functional.warps.cpab import cpab_warp
from tpl_lightning.groupwise import path_warps as paths
from tpl_lightning.groupwise.energy import JointOptions
from tpl_lightning.groupwise.path_warps import path_warps, sub_sample_positions

GRID = torch.linspace(0, 1, 65)
NOISY = 0.1


def _prototype(size=65, channels=6):
    generator = torch.Generator().manual_seed(4)
    waves, phase = torch.randn(2, channels, generator=generator)
    times = torch.linspace(0, 1, size).unsqueeze(1)
    return torch.sin(9 * waves * times + 3 * phase) + torch.cos(5 * phase * times)


def test_a_frame_moves_to_where_the_prototype_is_nearest():
    """Against a search of many positions within reach."""
    target = _prototype().unsqueeze(0)
    truth = (GRID + 0.04 * torch.sin(2 * torch.pi * GRID)).unsqueeze(0)
    noise = NOISY * torch.randn(1, 65, 6, generator=torch.Generator().manual_seed(5))
    signal = sample_rows(target, truth) + noise
    start = (truth * 64).round() / 64  # what a path from point to point can say at best
    found = sub_sample_positions(start, signal, target, steps=20)
    offset = torch.linspace(-4 / 64, 4 / 64, 2001)
    places = (start.unsqueeze(-1) + offset).clamp(0, 1)  # (1, 65, 2001)
    distance = (sample_rows(target, places.flatten(1)).view(1, 65, 2001, 6) - signal.unsqueeze(2)).square().sum(-1)
    found_distance = (sample_rows(target, found) - signal).square().sum(-1)
    best = distance.min(-1).values
    assert (found_distance - best).median() < 1e-3
    assert (found_distance - best).mean() < 0.1 * (distance[..., 1000] - best).mean()
    assert (found - start).abs().max() <= 4 / 64 + 1e-6
    assert 0 <= found.min() <= found.max() <= 1


def test_a_still_prototype_moves_no_frame():
    target = torch.ones(2, 65, 3)
    start = GRID.expand(2, -1)
    assert torch.equal(sub_sample_positions(start, torch.randn(2, 65, 3), target), start)


@pytest.mark.parametrize("num_cells", [16, 32])
def test_known_warps_are_found_between_the_points_of_paths(num_cells, monkeypatch):
    size = 257
    theta = 1.5 * torch.randn(4, num_cells - 1, generator=torch.Generator().manual_seed(6))
    grid = torch.linspace(0, 1, size)
    target = _prototype(size).expand(4, -1, -1)
    truth = cpab_warp(-theta, grid, num_cells=num_cells)
    signal = sample_rows(target, truth)
    error = []
    for sharpen in (True, False):
        if not sharpen:
            monkeypatch.setattr(paths, "sub_sample_positions", lambda position, *_: position)
        found = path_warps(signal, target, JointOptions(num_cells=num_cells, offset_shrinkage=0.0))
        error.append((cpab_warp(-found, grid, num_cells=num_cells) - truth).abs().mean())
    assert error[0] < 0.15 / (4 * num_cells)  # of the distance between points
    assert error[0] < 0.7 * error[1]


def test_no_video_changes_the_warp_of_another():
    target = _prototype().expand(5, -1, -1)
    signal = target + NOISY * torch.randn(5, 65, 6, generator=torch.Generator().manual_seed(7))
    together = path_warps(signal, target, JointOptions())
    for i in range(5):
        alone = path_warps(signal[i : i + 1], target[i : i + 1], JointOptions())
        torch.testing.assert_close(together[i], alone[0], atol=2e-3, rtol=1e-3)
