r"""The closed-form flow of a piecewise-affine velocity field, with its analytic derivatives.

A point that starts at y moves by dy/dt = u(y) for one unit of time. Everything here counts in cells: y in [0, K],
knots at 0, 1, ..., K, so within cell c the slope of the field is a = u_{c+1} - u_c and a point moves along an
exponential, y(t) = y + u(y) t phi(a t) with phi(w) = (e^w - 1) / w. Instead of stepping from cell to cell, three
facts are used:

- The time to cross a cell is the same for every point: log1p(z) / (z u_c) with z = u_{c+1} / u_c - 1. Travel times
  add up, so cumulative sums over the cells and one binary search find the cell in which the unit of time ends.
  A cell in which u vanishes is never crossed; it counts as longer than the unit of time.
- The answer d to a change b of the field obeys the linear equation d' = a d + b(y), so
  d(1) = u(y(1)) int b(y(t)) / u(y(t)) dt: additive over cells as well (Martinez et al., ICML 2022).
- Within a piece of duration t and w = a t that starts at y, with m(w) = phi'(w) and q(w) = e^-w m(w):
  int 1 / u dt = t phi(-w) / u(y) and int (y(t) - y) / u dt = t^2 q(w).

It is float64 where the device has it: at velocities of 20 a float32 time is worth 1e-6 of a position. Memory is
O(batch x points); nothing waits for the device. Adding 1e-300 to an argument of log1p(z) / z or expm1(w) / w leaves
every number but 0 as it is, and makes the quotient 1 there.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["CPABFlow", "Field", "Path", "knots_in_cells", "make_field", "path_jacobian", "path_slope", "trace"]

_BARRIER = 2.0  # time counted for a cell that cannot be crossed: more than the one unit there is
_LARGEST_EXPONENT = 600.0  # e^600 is finite in float64
_TINY = 1e-300
_SMALL = 1e-3  # below it the series of m and q are right to 1e-10, above it their formulas are


class Field(NamedTuple):
    """A batch of velocity fields, ready for the flow."""

    velocity: Tensor
    """(B, K + 1) at the knots, in cells per unit of time."""
    elapsed: Tensor
    """(B, K + 1) time to travel from knot 0 to knot k, cells that cannot be crossed counted as ``_BARRIER``."""


class Path(NamedTuple):
    """Where each point went, (B, P) each: a piece in its first cell, whole cells, a piece in its last cell."""

    end: Tensor
    """Position after one unit of time, in cells."""
    cell: Tensor
    """First cell."""
    fraction: Tensor
    """Start as a share of the first cell."""
    exits: Tensor
    """Whether the first cell is left at all; if not, the first piece is the last."""
    border: Tensor
    """Knot by which the first cell is left."""
    distance: Tensor
    """Signed distance from the start to ``border``."""
    time_out: Tensor
    """Time spent in the first cell before leaving it."""
    exponent_out: Tensor
    """w of the first piece."""
    start_velocity: Tensor
    border_velocity: Tensor
    last: Tensor
    """Right knot of the last cell."""
    entry_knot: Tensor
    """Knot by which the last cell is entered."""
    entry: Tensor
    """Start of the last piece."""
    entry_velocity: Tensor
    time_in: Tensor
    """Time spent in the last cell."""
    exponent: Tensor
    """w of the last piece."""
    growth: Tensor
    """e^w - 1 of the last piece."""


def make_field(velocity: Tensor) -> Field:
    """Prepare knot velocities (B, K + 1), in cells per unit of time, for the flow."""
    left, right = velocity[:, :-1], velocity[:, 1:]
    passable = left * right > 0
    z = (right - left).div_(left).add_(_TINY)
    time = torch.log1p(z).div_(z).div_(left).abs_()
    time = torch.where(passable, time, _BARRIER).clamp_(max=_BARRIER)
    elapsed = torch.zeros_like(velocity)
    torch.cumsum(time, 1, out=elapsed[:, 1:])
    return Field(velocity, elapsed)


def trace(field: Field, points: Tensor, *, zero_boundary: bool) -> Path:
    """Follow points, (P,) or (B, P) in cells, for one unit of time.

    Convention: [0, K] -> [0, K] (the ends stay) with ``zero_boundary``; else the field goes on beyond the ends
    with the slope of the first and the last cell, and so do the points.
    """
    velocity, elapsed = field
    batch, cells = velocity.shape[0], velocity.shape[1] - 1
    cell = points.floor().clamp_(0, cells - 1)
    fraction = points - cell
    cell = cell.long()
    next_knot = cell + 1
    # Dead tensors are written over (out=, in place): touching fresh memory costs more than the arithmetic.
    left = velocity.gather(1, cell.expand(batch, -1))
    right = velocity.gather(1, next_knot.expand(batch, -1))
    slope = right - left
    start_velocity = torch.addcmul(left, slope, fraction)
    onward = start_velocity > 0
    distance = torch.where(onward, 1.0 - fraction, -fraction)
    time_out = distance / start_velocity
    z = slope.mul_(time_out).add_(_TINY).clamp_(min=-1.0)
    exponent_out = torch.log1p(z)
    time_out.mul_(torch.div(exponent_out, z, out=z))
    border_velocity = torch.where(onward, right, left, out=z)
    exits = torch.mul(border_velocity, start_velocity, out=left) > 0
    exits &= time_out < 1.0
    border = cell + onward
    if not zero_boundary:
        exits &= (border > 0) & (border < cells)
    # From the border on: the time left is walked along the cumulative crossing times.
    target = torch.neg(time_out, out=right).add_(1.0).copysign_(start_velocity)
    target.add_(torch.gather(elapsed, 1, border, out=left))
    last = torch.searchsorted(elapsed, target, right=True).clamp_(1, cells)
    last = torch.where(exits, last, next_knot, out=last)
    entry_knot = last - 1
    left = torch.gather(velocity, 1, entry_knot, out=left)
    right = velocity.gather(1, last)
    entry_knot = torch.where(onward, entry_knot, last, out=entry_knot)
    entry_velocity = torch.where(onward, left, right)
    exponent = right.sub_(left)  # the slope of the last cell, so far
    time_in = target.sub_(torch.gather(elapsed, 1, entry_knot, out=left)).abs_()
    time_in.masked_fill_(~exits, 1.0)
    entry_velocity = torch.where(exits, entry_velocity, start_velocity, out=entry_velocity)
    exponent.mul_(time_in).clamp_(max=_LARGEST_EXPONENT).add_(_TINY)
    growth = torch.expm1(exponent, out=left)
    entry = entry_knot.to(points.dtype)
    entry = torch.where(exits, entry, points, out=entry)
    end = torch.div(growth, exponent).mul_(time_in).mul_(entry_velocity).add_(entry)
    if zero_boundary:
        end.clamp_(0.0, cells)
    return Path(
        end=end,
        cell=cell,
        fraction=fraction,
        exits=exits,
        border=border,
        distance=distance,
        time_out=time_out,
        exponent_out=exponent_out,
        start_velocity=start_velocity,
        border_velocity=border_velocity,
        last=last,
        entry_knot=entry_knot,
        entry=entry,
        entry_velocity=entry_velocity,
        time_in=time_in,
        exponent=exponent,
        growth=growth,
    )


def path_slope(path: Path) -> Tensor:
    """Return dT/dx = u(T(x)) / u(x) (B, P), and its limit e^a where u(x) is 0."""
    return torch.where(path.exits, path.entry_velocity / path.start_velocity, 1.0) * (path.growth + 1.0)


def _m(w: Tensor, growth: Tensor) -> Tensor:
    """Return m(w) = (w e^w - (e^w - 1)) / w^2 with ``growth`` = e^w - 1; 1/2 + w/3 + w^2/8 + ... near 0."""
    value = torch.sub(w, growth).addcmul_(w, growth).div_(w).div_(w)
    series = torch.mul(w, 0.125).add_(1 / 3).mul_(w).add_(0.5)
    return _near_zero(w, series, value)


def _q(w: Tensor, shrink: Tensor) -> Tensor:
    """Return q(w) = (w - (1 - e^-w)) / w^2 with ``shrink`` = 1 - e^-w; 1/2 - w/6 + w^2/24 - ... near 0."""
    value = torch.sub(w, shrink).div_(w).div_(w)
    series = torch.mul(w, 1 / 24).sub_(1 / 6).mul_(w).add_(0.5)
    return _near_zero(w, series, value)


def _near_zero(w: Tensor, series: Tensor, value: Tensor) -> Tensor:
    """Return the series where w is small, the formula elsewhere, in the memory of ``value``."""
    return torch.where((w < _SMALL).logical_and_(w > -_SMALL), series, value, out=value)


def _last_piece(path: Path) -> tuple[Tensor, Tensor]:
    """Return how the end answers to a uniform change of the last cell's field, and to its right knot; (B, P)."""
    uniform = torch.div(path.growth, path.exponent).mul_(path.time_in)
    ramp = _m(path.exponent, path.growth).mul_(path.time_in).mul_(path.time_in).mul_(path.entry_velocity)
    share = (path.entry - path.last).add_(1.0)
    return uniform, ramp.addcmul_(share, uniform)


def _first_piece(path: Path) -> tuple[Tensor, Tensor]:
    """Return int 1 / u dt over the first piece, and the same for its right knot; valid where the path ``exits``."""
    shrink = torch.div(path.start_velocity, path.border_velocity).neg_().add_(1.0)
    ramp = _q(path.exponent_out, shrink).mul_(path.time_out).mul_(path.time_out)
    uniform = torch.div(path.distance, path.start_velocity, out=shrink).div_(path.border_velocity)
    return uniform, ramp.addcmul_(path.fraction, uniform)


def _whole_cells(field: Field) -> tuple[Tensor, Tensor]:
    """Return int b / u^2 dy over each cell, (B, K), for the hat functions b of its left and of its right knot."""
    left, right = field.velocity[:, :-1], field.velocity[:, 1:]
    passable = left * right > 0
    ratio = right / left
    w = torch.log(ratio.masked_fill(~passable, 1.0)).add_(_TINY)
    time = torch.diff(field.elapsed, dim=1)
    uniform = 1.0 / (left * right)
    by_right = torch.where(passable, _q(w, 1.0 - 1.0 / ratio).mul_(time).mul_(time), 0.0)
    return torch.where(passable, uniform, 0.0) - by_right, by_right


def path_jacobian(field: Field, path: Path) -> Tensor:
    """Return dT(x)/du, (B, P, K + 1): how each end answers to each knot velocity. O(B P K) memory."""
    cells = field.velocity.shape[1] - 1
    speed = (path.growth + 1.0) * path.entry_velocity
    knot = torch.arange(cells, device=speed.device)
    # +1 on whole cells walked to the right, -1 on those walked to the left.
    walked = (knot < path.entry_knot.unsqueeze(-1)).to(speed.dtype)
    walked -= (knot < path.border.unsqueeze(-1)).to(speed.dtype)
    walked *= speed.masked_fill(~path.exits, 0.0).unsqueeze(-1)
    by_left, by_right = _whole_cells(field)
    jacobian = torch.zeros(*speed.shape, cells + 1, dtype=speed.dtype, device=speed.device)
    jacobian[..., :-1] = walked * by_left.unsqueeze(1)
    jacobian[..., 1:] += walked * by_right.unsqueeze(1)
    uniform, right = _last_piece(path)
    jacobian.scatter_add_(-1, path.last.unsqueeze(-1) - 1, (uniform - right).unsqueeze(-1))
    jacobian.scatter_add_(-1, path.last.unsqueeze(-1), right.unsqueeze(-1))
    uniform, right = (torch.where(path.exits, part * speed, 0.0) for part in _first_piece(path))
    cell = path.cell.expand_as(speed).unsqueeze(-1)
    jacobian.scatter_add_(-1, cell, (uniform - right).unsqueeze(-1))
    return jacobian.scatter_add_(-1, cell + 1, right.unsqueeze(-1))


def _pull_back(field: Field, path: Path, grad: Tensor) -> Tensor:
    """Return sum_p grad_p dT(x_p)/du, (B, K + 1), without forming the Jacobian."""
    result, marks = torch.zeros_like(field.velocity), torch.zeros_like(field.velocity)
    uniform, right = _last_piece(path)
    result.scatter_add_(1, path.last, right.mul_(grad))
    result.scatter_add_(1, path.last - 1, uniform.mul_(grad).sub_(right))
    # The first piece and the whole cells are carried on by the velocity at the end.
    carried = torch.add(path.growth, 1.0, out=right).mul_(path.entry_velocity).mul_(grad)
    stays = ~path.exits
    carried.masked_fill_(stays, 0.0)
    uniform, right = _first_piece(path)
    right.masked_fill_(stays, 0.0).mul_(carried)
    uniform.masked_fill_(stays, 0.0).mul_(carried)
    result.scatter_add_(1, (path.cell + 1).expand_as(carried), right)
    result.scatter_add_(1, path.cell.expand_as(carried), uniform.sub_(right))
    # +w at the knot where the whole cells begin, -w where they end; the running sum is each cell's weight.
    marks.scatter_add_(1, path.border, carried)
    marks.scatter_add_(1, path.entry_knot, carried.neg_())
    weights = marks.cumsum_(1)[:, :-1]
    by_left, by_right = _whole_cells(field)
    result[:, :-1].addcmul_(weights, by_left)
    result[:, 1:].addcmul_(weights, by_right)
    return result


def knots_in_cells(theta: Tensor, zero_boundary: bool) -> Tensor:
    """Return the knot velocities in cells per unit of time: theta itself, between zeros if the ends stay.

    That is ``theta @ velocity_basis(K) * K`` without the multiplication by ones.
    """
    return torch.nn.functional.pad(theta, (1, 1)) if zero_boundary else theta


class CPABFlow(torch.autograd.Function):
    """(theta (B, d), points (P,) or (B, P) in [0, 1]) -> warped points (B, P), with the analytic gradient.

    Changes of type and of unit happen inside, as each would cost a node of the autograd graph.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, theta: Tensor, points: Tensor, zero_boundary: bool, working: torch.dtype, result: torch.dtype
    ) -> Tensor:
        """Trace the points."""
        velocity = knots_in_cells(theta.to(working), zero_boundary)
        cells = velocity.shape[1] - 1
        field = make_field(velocity)
        path = trace(field, points.to(working) * cells, zero_boundary=zero_boundary)
        ctx.shared, ctx.free = points.dim() == 1, slice(1, -1) if zero_boundary else slice(None)
        ctx.types = theta.dtype, points.dtype
        ctx.save_for_backward(*field, *path)
        return (path.end / cells).to(result)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Pull the gradient back along the paths."""
        if torch.is_grad_enabled():
            raise RuntimeError(
                "The CPAB warp has no second derivative here: call backward or torch.autograd.grad without "
                "create_graph=True, or take the slope from cpab_warp_and_slope."
            )
        velocity, elapsed, *rest = ctx.saved_tensors
        path, by_theta, by_points = Path(*rest), None, None
        grad = grad.to(velocity.dtype)
        if ctx.needs_input_grad[1]:
            by_points = grad * path_slope(path)
            by_points = (by_points.sum(0) if ctx.shared else by_points).to(ctx.types[1])
        if ctx.needs_input_grad[0]:
            by_velocity = _pull_back(Field(velocity, elapsed), path, grad)
            by_theta = (by_velocity[:, ctx.free] / (velocity.shape[1] - 1)).to(ctx.types[0])
        return by_theta, by_points, None, None, None
