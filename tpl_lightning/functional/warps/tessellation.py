"""Velocity fields: which fields there are on a tessellation of [0, 1], and the basis in which theta is given."""

from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor


def num_parameters(num_cells: int, *, zero_boundary: bool = True) -> int:
    """Return d, the number of parameters of a velocity field: one for each knot that may move.

    Args:
        num_cells: Equal cells of [0, 1], at least 2.
        zero_boundary: Whether the velocity at 0 and 1 is 0.

    Example:
        >>> num_parameters(16), num_parameters(16, zero_boundary=False)
        (15, 17)
    """
    if num_cells < 2:
        raise ValueError(f"Expected `num_cells` >= 2, but got {num_cells}.")
    return num_cells - 1 if zero_boundary else num_cells + 1


@lru_cache(maxsize=1)
def load_difw_tessellation() -> ModuleType:
    """Return difw's module ``core.tessellation``.

    Loaded from its file: importing the package ``difw`` would compile its C++ with flags that break the
    warps (see functional/warps/difw_backend.py), take half a minute and print.
    """
    package = find_spec("difw")
    if package is None or package.origin is None:
        raise ImportError("Expected the package difw (pip install difw==0.0.31).")
    path = Path(package.origin).parent / "core" / "tessellation.py"
    spec = spec_from_file_location("_difw_tessellation", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@lru_cache(maxsize=64)
def _basis(num_cells: int, zero_boundary: bool) -> np.ndarray:
    """Return the basis as knot velocities (d, K + 1), float64."""
    tessellation = load_difw_tessellation().Tessellation(num_cells, zero_boundary=zero_boundary, basis="svd")
    affine = tessellation.B.reshape(num_cells, 2, -1)  # in cell c, v(x) = a x + b
    slope, intercept = affine[:, 0], affine[:, 1]
    left = np.arange(num_cells)[:, None] / num_cells
    knots = np.concatenate([slope * left + intercept, slope[-1:] + intercept[-1:]]).T
    # A null space has no preferred axes and LAPACKs differ; theta stored in a checkpoint must mean the same
    # everywhere. So the same space is given the coordinates of difw's "sparse" basis (which itself fails for
    # 49, 98, ... cells): theta_k is the velocity at the k-th free knot, in cells per unit of time.
    free = slice(1, -1) if zero_boundary else slice(None)
    basis = np.linalg.solve(knots[:, free], knots) / num_cells
    basis[np.abs(basis) < 1e-9] = 0.0  # exact zeros keep the ends where they are
    return basis


def velocity_basis(
    num_cells: int,
    *,
    zero_boundary: bool = True,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> Tensor:
    """Return the basis of continuous piecewise-affine velocity fields, by their values at the cell borders.

    The space is that of difw's tessellation (Martinez et al. 2022; Freifeld et al. 2017); its coordinates are
    the velocities at the free knots in cells per unit of time, so v(k / K) = theta_k / K.

    Args:
        num_cells: Equal cells K of [0, 1].
        zero_boundary: Whether the velocity at 0 and 1 is 0.
        dtype: Floating-point type of the result.
        device: Device of the result.

    Returns:
        (d, K + 1); ``theta @ velocity_basis(K)`` are the velocities at the knots k / K.
    """
    num_parameters(num_cells)  # checks the range
    return torch.as_tensor(_basis(num_cells, zero_boundary), dtype=dtype, device=device)
