"""Random velocity fields of a given speed."""

import torch

from tpl_lightning.functional.warps.tessellation import num_parameters


def theta_of_speed(cells, size, zero_boundary=True, batch=4, seed=0):
    """Coefficients whose largest velocity is ``size``."""
    generator = torch.Generator().manual_seed(seed)
    d = num_parameters(cells, zero_boundary=zero_boundary)
    theta = torch.randn(batch, d, generator=generator, dtype=torch.float64)
    return theta / theta.abs().amax(1, keepdim=True) * size * cells
