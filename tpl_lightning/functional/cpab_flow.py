r"""The closed-form flow of a piecewise-affine velocity field, with its analytic derivatives.

A point that starts at x moves by dx/dt = v(x) for one unit of time. Inside a cell, where v is affine with
slope a, it moves along an exponential: x(t) = x + v(x) t phi(a t) with phi(w) = (e^w - 1) / w. Instead of
stepping from cell to cell, three facts are used:

- The time to cross a whole cell is the same for every point: h log1p(z) / (v z), z = v_right / v_left - 1.
  Travel times add up, so cumulative sums over the cells and one binary search find the cell in which the
  unit of time ends. A cell in which v vanishes is never crossed; it counts as longer than the unit of time.
- The sensitivity to the field obeys the linear equation d' = a d + b(x) for a change b of the field, so
  d(1) = v(x(1)) int b(x(t)) / v(x(t)) dt: additive over cells as well (Martinez et al., ICML 2022).
- Within a piece of duration t and w = a t, with b linear from b_in to b_out,
  d_end = t (alpha(w) b_in + beta(w) b_out), beta(w) = 1 / (1 - e^-w) - 1 / w, alpha = phi - beta.

Everything here is float64 where the device has it: at velocities of 20 a float32 time is worth 1e-6 of a
position. Memory is O(batch x points); nothing waits for the device.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["CPABFlow", "Field", "make_field", "path_jacobian", "path_slope", "trace"]

_BARRIER = 2.0  # time counted for a cell that cannot be crossed: more than the one unit there is
_LARGEST_EXPONENT = 600.0  # e^600 is finite in float64


def _at_least_tiny(z: Tensor) -> Tensor:
    """Replace exact zeros: log1p(z) / z and expm1(z) / z are then 1, as they should be."""
    return z.masked_fill(z == 0, 1e-30)


def _phi(w: Tensor) -> Tensor:
    w = _at_least_tiny(w)
    return torch.expm1(w) / w


def _alpha_beta(w: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights of the forcing at the entry and at the exit of a piece of exponent ``w``."""
    small = w.abs() < 0.25
    # 1 / (1 - e^-w) - 1 / w cancels near 0, where its series has already converged.
    square = w * w
    series = 0.5 + w * (1 / 12 - square * (1 / 720 - square * (1 / 30240 - square * (1 / 1209600))))
    away = w.masked_fill(small, 1.0)
    growth = torch.expm1(away)
    beta = torch.where(small, series, 1.0 + 1.0 / growth - 1.0 / away)
    return _phi(w) - beta, beta


class Field(NamedTuple):
    """A batch of velocity fields, ready for the flow."""

    velocity: Tensor
    """(B, K + 1) at the knots k / K."""
    elapsed: Tensor
    """(B, K + 1) time to travel from knot 0 to knot k, cells that cannot be crossed counted as ``_BARRIER``."""

    @property
    def num_cells(self) -> int:
        """Return K."""
        return self.velocity.shape[1] - 1

    @property
    def slope(self) -> Tensor:
        """Return (B, K), dv/dx within each cell."""
        return torch.diff(self.velocity, dim=1) * self.num_cells


class Path(NamedTuple):
    """Where each point went, (B, P) each: a piece in its first cell, whole cells, a piece in its last cell."""

    end: Tensor
    """Position after one unit of time."""
    cell: Tensor
    """First cell; (P,) where all videos share the points."""
    exits: Tensor
    """Whether the first cell is left at all; if not, the first piece is the last."""
    border: Tensor
    """Knot by which the first cell is left."""
    time_out: Tensor
    """Time spent in the first cell before leaving it."""
    last_cell: Tensor
    last_knot: Tensor
    """Knot by which the last cell is entered."""
    time_in: Tensor
    """Time spent in the last cell."""
    start_velocity: Tensor
    entry_velocity: Tensor
    """Velocity at the start of the last piece."""
    exponent: Tensor
    """w = a t of the last piece."""


def make_field(velocity: Tensor) -> Field:
    """Prepare knot velocities (B, K + 1) for the flow."""
    left, right = velocity[:, :-1], velocity[:, 1:]
    passable = left * right > 0
    z = _at_least_tiny((right - left) / left.masked_fill(~passable, 1.0))
    time = torch.log1p(z) / (z * left * (velocity.shape[1] - 1))
    time = time.abs().masked_fill(~passable, _BARRIER).clamp(max=_BARRIER)
    return Field(velocity, torch.nn.functional.pad(time.cumsum(1), (1, 0)))


def _take(values: Tensor, index: Tensor) -> Tensor:
    """Pick columns: (B, K), (P,) or (B, P) -> (B, P)."""
    return values.index_select(1, index) if index.dim() == 1 else values.gather(1, index)


def trace(field: Field, points: Tensor, *, zero_boundary: bool) -> Path:
    """Follow points, (P,) or (B, P), for one unit of time.

    Convention: [0, 1] -> [0, 1] (the ends stay) with ``zero_boundary``; else the field goes on beyond 0 and 1
    with the slope of the first and the last cell, and so do the points.
    """
    cells = field.num_cells
    scaled = points * cells
    cell = scaled.floor().clamp(0, cells - 1)
    fraction = scaled - cell
    cell = cell.long()
    left, right = _take(field.velocity, cell), _take(field.velocity, cell + 1)
    velocity = torch.lerp(left, right, fraction)  # exact at both borders
    onward = velocity > 0
    distance = onward.to(velocity.dtype) - fraction  # to the border ahead, in cells, signed
    per_cell = distance / velocity
    z = _at_least_tiny((right - left) * per_cell).clamp(min=-1.0)
    time_out = torch.log1p(z) / z * per_cell / cells
    border = cell + onward
    exits = (torch.where(onward, right, left) * velocity > 0) & (time_out < 1.0)
    if not zero_boundary:
        exits &= (border > 0) & (border < cells)
    # From the border on: the time left is walked along the cumulative crossing times.
    forward = torch.where(onward, 1.0, -1.0).to(velocity.dtype)
    target = _take(field.elapsed, border) + forward * (1.0 - time_out)
    found = torch.searchsorted(field.elapsed, target, right=True) - 1
    last_cell = torch.where(exits, found.clamp(0, cells - 1), cell)
    last_knot = last_cell + ~onward
    time_in = forward * (target - _take(field.elapsed, last_knot))
    time_in = torch.where(exits, time_in, 1.0)
    entry_velocity = torch.where(exits, _take(field.velocity, last_knot), velocity)
    exponent = (_take(field.slope, last_cell) * time_in).clamp(max=_LARGEST_EXPONENT)
    end = torch.where(exits, last_knot.to(points.dtype) / cells, points) + entry_velocity * time_in * _phi(exponent)
    if zero_boundary:
        end = end.clamp(0.0, 1.0)
    return Path(end, cell, exits, border, time_out, last_cell, last_knot, time_in, velocity, entry_velocity, exponent)


def path_slope(path: Path) -> Tensor:
    """Return dT/dx = v(T(x)) / v(x) (B, P), and its limit e^a where v(x) is 0."""
    growth = path.exponent.exp()
    return torch.where(path.exits, path.entry_velocity / path.start_velocity, 1.0) * growth


class _Sensitivity(NamedTuple):
    """How a path's end answers to the knot velocities, piece by piece."""

    first: tuple[Tensor, Tensor]
    """(B, P) for the left and the right knot of the first cell."""
    last: tuple[Tensor, Tensor]
    """(B, P) for the left and the right knot of the last cell."""
    whole: tuple[Tensor, Tensor]
    """(B, K): int b / v dt over each whole cell for its left and right knot; times ``speed``."""
    speed: Tensor
    """(B, P) v(x(1)) where the path leaves its first cell, else 0."""
    low: Tensor
    high: Tensor
    """(B, P) whole cells low..high - 1 lie on the path."""


def _sensitivity(field: Field, points: Tensor, path: Path) -> _Sensitivity:
    cells = field.num_cells
    # Last piece: d_end = t (alpha b_in + beta b_out), b a hat function of the knot.
    alpha, beta = _alpha_beta(path.exponent)
    alpha, beta = alpha * path.time_in, beta * path.time_in
    entry = torch.where(path.exits, (path.last_knot - path.last_cell).to(alpha.dtype), points * cells - path.last_cell)
    right = entry * alpha + (path.end * cells - path.last_cell) * beta
    last = (alpha + beta - right, right)
    # First piece: carried on by v(x(1)) / v(border).
    speed = (path.entry_velocity * path.exponent.exp()).masked_fill(~path.exits, 0.0)
    ahead = _take(field.velocity, path.border)
    time_out = path.time_out.masked_fill(~path.exits, 0.0)
    alpha, beta = _alpha_beta(_take(field.slope, path.cell) * time_out)
    carry = torch.where(path.exits, speed / ahead, 0.0) * time_out
    alpha, beta = alpha * carry, beta * carry
    right = (points * cells - path.cell) * alpha + (path.border - path.cell) * beta
    first = (alpha + beta - right, right)
    # Whole cells between, entered on the side from which v points inwards.
    v_left, v_right = field.velocity[:, :-1], field.velocity[:, 1:]
    passable = v_left * v_right > 0
    onward = v_left > 0
    v_in = torch.where(onward, v_left, v_right).masked_fill(~passable, 1.0)
    v_out = torch.where(onward, v_right, v_left).masked_fill(~passable, 1.0)
    time = torch.diff(field.elapsed, dim=1)
    alpha, beta = _alpha_beta(torch.log(v_out / v_in))
    scale = (time / v_out).masked_fill(~passable, 0.0)
    alpha, beta = alpha * scale, beta * scale
    whole = (torch.where(onward, alpha, beta), torch.where(onward, beta, alpha))
    low, high = torch.minimum(path.border, path.last_knot), torch.maximum(path.border, path.last_knot)
    return _Sensitivity(first, last, whole, speed, low, high)


def path_jacobian(field: Field, points: Tensor, path: Path) -> Tensor:
    """Return dT(x)/dv, (B, P, K + 1): how each end answers to each knot velocity. O(B P K) memory."""
    parts = _sensitivity(field, points, path)
    cells = field.num_cells
    index = torch.arange(cells, device=points.device)
    on_path = (index >= parts.low.unsqueeze(-1)) & (index < parts.high.unsqueeze(-1))
    weight = on_path * parts.speed.unsqueeze(-1)
    jacobian = torch.zeros(*path.end.shape, cells + 1, dtype=path.end.dtype, device=path.end.device)
    jacobian[..., :-1] = weight * parts.whole[0].unsqueeze(1)
    jacobian[..., 1:] += weight * parts.whole[1].unsqueeze(1)
    cell = path.cell.expand_as(path.end)
    index = torch.stack([cell, cell + 1, path.last_cell, path.last_cell + 1], -1)
    return jacobian.scatter_add_(-1, index, torch.stack([*parts.first, *parts.last], -1))


def _pull_back(field: Field, points: Tensor, path: Path, grad: Tensor) -> Tensor:
    """Return sum_p grad_p dT(x_p)/dv, (B, K + 1), without forming the Jacobian."""
    parts = _sensitivity(field, points, path)
    cell = path.cell.expand_as(grad)
    index = torch.cat([cell, cell + 1, path.last_cell, path.last_cell + 1], 1)
    values = torch.stack([*parts.first, *parts.last], 1) * grad.unsqueeze(1)
    result = torch.zeros_like(field.velocity).scatter_add_(1, index, values.flatten(1))
    # Whole cells: +w at the first, -w behind the last; the running sum is each cell's weight.
    weight = grad * parts.speed
    marks = torch.zeros_like(field.velocity)
    marks.scatter_add_(1, torch.cat([parts.low, parts.high], 1), torch.cat([weight, -weight], 1))
    weights = marks.cumsum(1)[:, :-1]
    result[:, :-1] += weights * parts.whole[0]
    result[:, 1:] += weights * parts.whole[1]
    return result


class CPABFlow(torch.autograd.Function):
    """(knot velocities (B, K + 1), points (P,) or (B, P)) -> (T(x), dT/dx), each (B, P), with analytic gradients.

    The slope is an output without gradient. Second derivatives are refused.
    """

    @staticmethod
    def forward(ctx: Any, velocity: Tensor, points: Tensor, zero_boundary: bool) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Trace the points."""
        field = make_field(velocity)
        path = trace(field, points, zero_boundary=zero_boundary)
        slope = path_slope(path)
        ctx.save_for_backward(velocity, field.elapsed, points, slope, *path)
        ctx.mark_non_differentiable(slope)
        return path.end, slope

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # type: ignore[override]
        """Pull the gradient back along the paths."""
        if torch.is_grad_enabled():
            raise RuntimeError(
                "The CPAB warp has no second derivative here: call backward or torch.autograd.grad without "
                "create_graph=True, or take the slope from cpab_warp_and_slope."
            )
        velocity, elapsed, points, slope, *path = ctx.saved_tensors
        grad_velocity = grad_points = None
        if ctx.needs_input_grad[0]:
            grad_velocity = _pull_back(Field(velocity, elapsed), points, Path(*path), grad)
        if ctx.needs_input_grad[1]:
            grad_points = grad * slope
            if points.dim() == 1:
                grad_points = grad_points.sum(0)
        return grad_velocity, grad_points, None
