"""Velocity fields: theta_k is the velocity at the k-th free knot, in cells per unit of time."""

import numpy as np
import pytest
import torch

from tpl_lightning.functional.warps import num_parameters
from tpl_lightning.functional.warps.tessellation import load_difw_tessellation, velocity_basis


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


def test_basis_spans_difws_fields_in_difws_sparse_coordinates():
    tessellation = load_difw_tessellation().Tessellation
    for cells in (2, 16, 49, 64):
        for zero_boundary in (True, False):
            affine = tessellation(cells, zero_boundary=zero_boundary, basis="svd").B
            knots = velocity_basis(cells, zero_boundary=zero_boundary).numpy()
            slope, left = np.diff(knots, axis=1) * cells, knots[:, :-1]
            ours = np.stack([slope, left - slope * np.arange(cells) / cells], -1).reshape(len(knots), -1).T
            assert ours.shape == affine.shape
            residual = ours - affine @ (affine.T @ ours)  # difw's columns are orthonormal
            assert np.abs(residual).max() < 1e-9
            if cells != 49:  # difw's own sparse basis cannot be built there
                np.testing.assert_allclose(
                    ours, tessellation(cells, zero_boundary=zero_boundary, basis="sparse").B, atol=1e-9
                )
