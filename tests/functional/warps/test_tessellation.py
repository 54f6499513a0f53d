"""Velocity fields: theta_k is the velocity at the k-th free knot, in cells per unit of time."""

import pytest
import torch

from tpl_lightning.functional.warps import num_parameters
from tpl_lightning.functional.warps.tessellation import velocity_basis


@pytest.mark.parametrize("cells", [2, 3, 16, 49])
def test_each_parameter_is_the_velocity_at_its_knot(cells):
    fixed = torch.zeros(cells - 1, cells + 1, dtype=torch.float64)
    fixed[:, 1:-1] = torch.eye(cells - 1, dtype=torch.float64) / cells
    torch.testing.assert_close(velocity_basis(cells), fixed)
    assert (velocity_basis(cells)[:, [0, -1]] == 0).all()  # exactly: the ends stay
    free = torch.eye(cells + 1, dtype=torch.float64) / cells
    torch.testing.assert_close(velocity_basis(cells, zero_boundary=False), free)
    assert (num_parameters(cells), num_parameters(cells, zero_boundary=False)) == (cells - 1, cells + 1)
    assert velocity_basis(cells, dtype=torch.float32).dtype == torch.float32


@pytest.mark.parametrize("cells", [1, 0, -3])
def test_one_cell_is_refused(cells):
    for ask in (num_parameters, velocity_basis):
        with pytest.raises(ValueError, match=f"`num_cells` >= 2, but got {cells}"):
            ask(cells)
