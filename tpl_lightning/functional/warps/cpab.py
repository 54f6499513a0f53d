"""CPAB warps of time: diffeomorphisms of [0, 1] that are flows of piecewise-affine velocity fields.

Freifeld, Hauberg, Batmanghelich, Fisher, "Transformations based on continuous piecewise-affine velocity
fields", PAMI 2017; closed form and gradient: Martinez, Viles, Olaizola, "Closed-form diffeomorphic
transformations for time series alignment", ICML 2022. The flow itself is in flow.py.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from tpl_lightning.functional import Float
from tpl_lightning.functional.warps.flow import (
    CPABFlow,
    Field,
    Trajectory,
    knots_in_cells,
    make_field,
    trace,
    trajectory_jacobian,
)
from tpl_lightning.functional.warps.tessellation import num_parameters, velocity_basis


def _working_dtype(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


def _check(theta: Tensor, points: Tensor, num_cells: int, zero_boundary: bool) -> None:
    size = num_parameters(num_cells, zero_boundary=zero_boundary)
    if theta.dim() != 2 or theta.shape[1] != size:
        raise ValueError(f"Expected `theta` of shape (B, {size}) for {num_cells} cells, but got {tuple(theta.shape)}.")
    if points.dim() not in (1, 2) or (points.dim() == 2 and points.shape[0] != theta.shape[0]):
        raise ValueError(f"Expected `points` of shape (P,) or ({theta.shape[0]}, P), but got {tuple(points.shape)}.")


def _result_dtype(theta: Tensor, points: Tensor) -> torch.dtype:
    """Return float64 if both are, else float32: half precision cannot tell frames apart."""
    return torch.float64 if theta.dtype == points.dtype == torch.float64 else torch.float32


def knot_velocity(
    theta: Float[Tensor, "*B d"], *, num_cells: int = 16, zero_boundary: bool = True
) -> Float[Tensor, "*B {num_cells}+1"]:
    """Return the velocities at the cell borders.

    Args:
        theta: (..., d) coefficients.
        num_cells: Equal cells K of [0, 1].
        zero_boundary: Whether the ends stay (d = K - 1) or may move (d = K + 1).

    Returns:
        (..., K + 1), in units of [0, 1] per unit of time; same type as ``theta``.

    Example:
        >>> knot_velocity(torch.tensor([1.0]), num_cells=2).tolist()
        [0.0, 0.5, 0.0]
    """
    basis = velocity_basis(num_cells, zero_boundary=zero_boundary, dtype=theta.dtype, device=theta.device)
    return theta @ basis


def cell_slopes(
    theta: Float[Tensor, "*B d"], *, num_cells: int = 16, zero_boundary: bool = True
) -> Float[Tensor, "*B {num_cells}"]:
    """Return a_c = (v_{c+1} - v_c) K (..., K), the slope of the velocity field in each cell.

    Example:
        >>> cell_slopes(torch.tensor([1.0]), num_cells=2).tolist()
        [1.0, -1.0]
    """
    return knot_velocity(theta, num_cells=num_cells, zero_boundary=zero_boundary).diff(dim=-1) * num_cells


def _traced(theta: Tensor, points: Tensor, num_cells: int, zero_boundary: bool) -> tuple[Field, Trajectory]:
    _check(theta, points, num_cells, zero_boundary)
    dtype = _working_dtype(theta.device)
    field = make_field(knots_in_cells(theta.to(dtype), zero_boundary))
    return field, trace(field, points.to(dtype) * num_cells, zero_boundary=zero_boundary)


def cpab_warp(
    theta: Float[Tensor, "B d"], points: Float[Tensor, "*B P"], *, num_cells: int = 16, zero_boundary: bool = True
) -> Float[Tensor, "B P"]:
    """Return T^theta(x), the position after one unit of time of a point that starts at x and moves with dx/dt = v(x).

    Differentiable in ``theta`` and ``points`` by the analytic gradient, once.

    Convention: [0, 1] -> [0, 1], both ends fixed, strictly increasing; T^0 is the identity and T^-theta, that is
    ``cpab_warp(-theta, ...)``, the inverse. Without ``zero_boundary`` points may leave [0, 1], where the field goes
    on with the slope of the end cells.

    Args:
        theta: (B, d), d = K - 1 with ``zero_boundary``, else K + 1. Half precision is computed in float32.
        points: (P,) shared by all, or (B, P); usually in [0, 1].
        num_cells: Equal cells K of [0, 1], at least 2.
        zero_boundary: Whether the velocity at 0 and 1 is 0.

    Returns:
        (B, P), float64 if both inputs are, else float32.

    Raises:
        ValueError: If the shapes do not fit.
        RuntimeError: If a second derivative is asked for.

    Example:
        >>> x = torch.tensor([0.0, 0.5, 1.0])
        >>> y = cpab_warp(torch.tensor([[0.5]]), x, num_cells=2)
        >>> y, cpab_warp(torch.tensor([[-0.5]]), y, num_cells=2)
        (tensor([[0.0000, 0.6967, 1.0000]]), tensor([[0.0000, 0.5000, 1.0000]]))
    """
    _check(theta, points, num_cells, zero_boundary)
    working, result = _working_dtype(theta.device), _result_dtype(theta, points)
    if not torch.is_grad_enabled():  # a function is told of requires_grad all the same, and would do the work
        theta, points = theta.detach(), points.detach()
    warped: Tensor = CPABFlow.apply(theta, points, zero_boundary, working, result)
    return warped


@torch.no_grad()
def cpab_warp_and_slope(
    theta: Tensor, points: Tensor, *, num_cells: int = 16, zero_boundary: bool = True
) -> tuple[Tensor, Tensor]:
    """Return T^theta(x) and its slope dT/dx > 0, each (B, P), without gradients; see :func:`cpab_warp`."""
    _, path = _traced(theta, points, num_cells, zero_boundary)
    result = _result_dtype(theta, points)
    return (path.end / num_cells).to(result), path.slope().to(result)


@torch.no_grad()
def cpab_warp_jacobian(
    theta: Float[Tensor, "B d"], points: Float[Tensor, "*B P"], *, num_cells: int = 16, zero_boundary: bool = True
) -> tuple[Float[Tensor, "B P"], Float[Tensor, "B P"], Float[Tensor, "B P d"]]:
    """Return T^theta(x) (B, P), dT/dx (B, P) and dT/dtheta (B, P, d), without gradients.

    For Gauss-Newton methods, which need the Jacobian itself; memory is O(B P K). See :func:`cpab_warp`.

    Example:
        >>> warped, slope, by_theta = cpab_warp_jacobian(torch.zeros(1, 15), torch.linspace(0, 1, 5))
        >>> warped.tolist(), slope.tolist(), by_theta.shape
        ([[0.0, 0.25, 0.5, 0.75, 1.0]], [[1.0, 1.0, 1.0, 1.0, 1.0]], torch.Size([1, 5, 15]))
    """
    field, path = _traced(theta, points, num_cells, zero_boundary)
    result = _result_dtype(theta, points)
    jacobian = trajectory_jacobian(field, path, result) / num_cells
    jacobian = jacobian[..., 1:-1] if zero_boundary else jacobian
    return (path.end / num_cells).to(result), path.slope().to(result), jacobian


def warp_levels(num_cells: int | Sequence[int], recurrences: int = 1) -> tuple[int, ...]:
    """Return the cells of each warp of a composition: ``num_cells`` for every recurrence, or as listed.

    Example:
        >>> warp_levels(16, recurrences=2), warp_levels([8, 16])
        ((16, 16), (8, 16))
    """
    return (num_cells,) * recurrences if isinstance(num_cells, int) else tuple(num_cells)


def warp_time(
    theta: Float[Tensor, "B R d"],
    points: Float[Tensor, "*B P"],
    *,
    inverse: bool = False,
    num_cells: int | Sequence[int] = 16,
    backend: str = "torch",
) -> Float[Tensor, "B P"]:
    """Warp points by a composition of R warps, or by its exact inverse.

    T = T_1 ∘ T_2 ∘ ... ∘ T_R: the last warp is applied to the points first. So T maps prototype time to video
    time if each recurrence looks at what the earlier ones have warped. T^-1 = T_R^-1 ∘ ... ∘ T_1^-1.

    Convention: [0, 1] -> [0, 1], both ends fixed, strictly increasing.

    Args:
        theta: (B, R, d), d for the largest number of cells; of a coarser warp the first numbers count.
        points: (P,) or (B, P) in [0, 1].
        inverse: Whether to apply T^-1.
        num_cells: Equal cells of [0, 1] of every warp, or of each (coarse to fine).
        backend: ``torch``, or ``difw`` for its compiled flow (CPU, float32).

    Returns:
        (B, P).

    Example:
        >>> x = torch.linspace(0, 1, 5)
        >>> theta = 0.3 * torch.ones(1, 2, 15)
        >>> back = warp_time(theta, warp_time(theta, x), inverse=True)
        >>> (back - x).abs().max().item() < 1e-5
        True
    """
    if theta.dim() != 3:
        raise ValueError(f"Expected `theta` of shape (B, R, d), but got {tuple(theta.shape)}.")
    levels = warp_levels(num_cells, theta.shape[1])
    if len(levels) != theta.shape[1]:
        raise ValueError(
            f"Expected `theta` to hold {len(levels)} warps for num_cells={num_cells}, but got {theta.shape[1]}."
        )
    if backend == "difw":
        from tpl_lightning.functional.warps.difw_backend import cpab_warp_difw as flow
    else:
        flow = cpab_warp
    steps = list(zip(theta.unbind(1), levels, strict=True))
    for step, cells in steps if inverse else reversed(steps):
        part = step[:, : num_parameters(cells)]
        points = flow(-part if inverse else part, points, num_cells=cells)
    return points
