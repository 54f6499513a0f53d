"""Random warps: their strength is the root mean square slope."""

import pytest
import torch

from tpl_lightning.functional.warps.cpab import cell_slopes, cpab_warp
from tpl_lightning.functional.warps.random import random_theta


@pytest.mark.parametrize("num_cells", [8, 16, 32])
@pytest.mark.parametrize("strength", [0.3, 0.8])
def test_slopes_have_the_strength_asked_for(num_cells, strength):
    generator = torch.Generator().manual_seed(0)
    theta = random_theta(2000, num_cells=num_cells, strength=strength, like=torch.zeros(()), generator=generator)
    slopes = cell_slopes(theta, num_cells=num_cells)
    # One slope of K is not free, as both ends stay.
    expected = strength * ((num_cells - 1) / num_cells) ** 0.5
    assert slopes.square().mean().sqrt() == pytest.approx(expected, rel=0.02)
    warped = cpab_warp(theta, torch.linspace(0, 1, 50), num_cells=num_cells)
    assert (warped.diff(dim=1) > 0).all()


def test_no_strength_gives_the_identity():
    assert random_theta(3, strength=0.0, like=torch.zeros(())).abs().max() == 0


def test_they_depend_on_the_generator_alone_and_have_the_type_asked_for():
    like = torch.zeros((), dtype=torch.float64)
    draws = [random_theta(3, strength=0.5, like=like, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert draws[0].dtype == torch.float64
