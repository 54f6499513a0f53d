r"""The closed-form flow of a piecewise-affine velocity field, with its analytic derivatives.

A point that starts at y moves by dy/dt = u(y) for one unit of time. Everything here counts in cells: y in [0, K],
knots at 0, 1, ..., K, so within cell c the slope of the field is a = u_{c+1} - u_c and a point moves along an
exponential, y(t) = y + u(y) t phi(a t) with phi(w) = (e^w - 1) / w. Instead of stepping from cell to cell, three
facts are used:

- The time to cross a cell is the same for every point: log(r) / (r - 1) / u_c with r = u_{c+1} / u_c. Travel times
  add up, so cumulative sums over the cells and one binary search find the cell in which the unit of time ends.
  A cell in which u vanishes is never crossed; it counts as longer than the unit of time.
- The sensitivity d to a change b of the field obeys the linear equation d' = a d + b(y), so
  d(1) = u(y(1)) int b(y(t)) / u(y(t)) dt: additive over cells as well (Martinez et al., ICML 2022).
- Within a piece of duration t and w = a t that starts at y, with m(w) = phi'(w) and q(w) = e^-w m(w):
  int 1 / u dt = t phi(-w) / u(y) and int (y(t) - y) / u dt = t^2 q(w).

It is float64 where the device has it: at velocities of 20 a float32 time is worth 1e-6 of a position. Memory is
O(batch x points); nothing waits for the device, and torch.compile takes it whole.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

_BARRIER = 2.0  # time counted for a cell that cannot be crossed: more than the one unit there is


class Field(NamedTuple):
    """A batch of velocity fields, ready for the flow."""

    velocity: Tensor
    """(B, K + 1) at the knots, in cells per unit of time."""
    slope: Tensor
    """(B, K) of each cell, per unit of time."""
    time: Tensor
    """(B, K) time to cross each cell, ``_BARRIER`` at most."""
    elapsed: Tensor
    """(B, K + 1) time to travel from knot 0 to knot k: the running sum of ``time``."""


class Trajectory(NamedTuple):
    """Where each point went, (B, P) each: a piece in its first cell, whole cells, a piece in its last cell.

    A point that does not leave its first cell has only the last piece.
    """

    end: Tensor
    """Position after one unit of time, in cells."""
    leaves: Tensor
    """Whether the first cell is left."""
    first: Tensor
    """First cell."""
    border: Tensor
    """Knot by which the first cell is left."""
    entry: Tensor
    """Knot by which the last cell is entered."""
    last: Tensor
    """Last cell."""
    start: tuple[Tensor, Tensor]
    """Where the point starts: as a share of the first cell, and the velocity there."""
    to_border: tuple[Tensor, Tensor, Tensor]
    """The piece in the first cell: distance, time, and velocity at the border."""
    to_end: tuple[Tensor, Tensor, Tensor, Tensor]
    """The piece in the last cell: its start as a share of the cell, velocity there, time t, and w = a t."""

    def end_velocity(self) -> Tensor:
        """Return u(T(x))."""
        _, velocity, _, w = self.to_end
        return velocity * w.exp()

    def slope(self) -> Tensor:
        """Return dT/dx = u(T(x)) / u(x), and its limit e^a where u(x) is 0 and the point stays."""
        velocity = self.start[1]
        return torch.where(velocity == 0, self.to_end[3].exp(), self.end_velocity() / velocity)


class Sensitivities(NamedTuple):
    """How the end of each trajectory answers, (B, P) each, to changes of the field in its first and its last piece.

    ``uniform``: to a uniform change of the cell's field; ``right``: to one of the velocity at its right knot.
    """

    first_uniform: Tensor
    first_right: Tensor
    last_uniform: Tensor
    last_right: Tensor
    carry: Tensor
    """To an advance at ``border``: the velocity at the end, 0 if the first cell is never left."""


def make_field(velocity: Tensor) -> Field:
    """Prepare knot velocities (B, K + 1), in cells per unit of time, for the flow."""
    left, right = velocity[:, :-1], velocity[:, 1:]
    time = _crossing_time(torch.ones_like(left), left, right)
    return Field(velocity, right - left, time, torch.nn.functional.pad(time.cumsum(1), (1, 0)))


def _crossing_time(distance: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Return the time to go a distance while the velocity changes linearly, in place, between its values at both ends.

    That is distance / start log(r) / (r - 1), r = end / start; ``_BARRIER`` where the velocity vanishes on the way.
    """
    step = end / start - 1
    # log(r) / (r - 1) is 1 at r = 1, and NaN for r <= 0, where the velocity changes its sign.
    mean = torch.where(step == 0, 1.0, torch.log1p(step) / step)
    return (distance / start * mean).abs().nan_to_num(nan=_BARRIER).clamp(max=_BARRIER)


def _phi(w: Tensor) -> Tensor:
    """Return phi(w) = (e^w - 1) / w = 1 + ..."""
    return torch.where(w == 0, 1.0, torch.expm1(w) / w)


def _m(w: Tensor) -> Tensor:
    """Return m(w) = phi'(w) = (w e^w - (e^w - 1)) / w^2 = 1/2 + w/3 + ..."""
    return torch.where(_is_small(w), 0.5 + w / 3, (w * w.exp() - torch.expm1(w)) / w**2)


def _q(w: Tensor) -> Tensor:
    """Return q(w) = e^-w m(w) = (w - (1 - e^-w)) / w^2 = 1/2 - w/6 + ..."""
    return torch.where(_is_small(w), 0.5 - w / 6, (w + torch.expm1(-w)) / w**2)


def _is_small(w: Tensor) -> Tensor:
    """Tell where two terms of a series, off by w^2 / 8, beat a formula that loses eps / w to cancellation."""
    return w.abs() < (8 * torch.finfo(w.dtype).eps) ** (1 / 3)


def trace(field: Field, points: Tensor, *, zero_boundary: bool) -> Trajectory:
    """Follow points, (P,) or (B, P) in cells, for one unit of time.

    Convention: [0, K] -> [0, K] (the ends stay) with ``zero_boundary``; else the field goes on beyond the ends
    with the slope of the first and the last cell, and so do the points.
    """
    batch, cells = field.slope.shape
    points = points.expand(batch, -1)
    first = points.floor().clamp(0, cells - 1).long()
    share = points - first
    left, right = field.velocity.gather(1, first), field.velocity.gather(1, first + 1)
    velocity = torch.lerp(left, right, share)

    # The first cell, up to the border, if that is reached.
    backward = velocity < 0
    border = first + ~backward
    border_velocity = torch.where(backward, left, right)
    to_border = border - points, _crossing_time(border - points, velocity, border_velocity), border_velocity
    remaining = 1 - to_border[1]
    # A remaining time that is lost when added to ``elapsed`` would be looked up on the wrong side of the border.
    leaves = remaining > 4096 * torch.finfo(points.dtype).eps
    if not zero_boundary:  # no border where the field goes on
        leaves &= (border > 0) & (border < cells)

    # Whole cells: what remains of the time is walked along the cumulative crossing times.
    target = field.elapsed.gather(1, border) + torch.where(backward, -remaining, remaining)
    last = torch.searchsorted(field.elapsed[:, 1:-1].contiguous(), target, right=True)
    last = torch.where(leaves, last, first)
    entry = last + backward

    # The last cell.
    time = torch.where(leaves, (target - field.elapsed.gather(1, entry)).abs(), 1.0)
    entry_share = torch.where(leaves, backward.to(share), share)
    entry_velocity = torch.where(leaves, field.velocity.gather(1, entry), velocity)
    largest = 0.85 * math.log(torch.finfo(time.dtype).max)  # its exponential is finite, with room for products
    w = (field.slope.gather(1, last) * time).clamp(max=largest)
    end = last + entry_share + entry_velocity * time * _phi(w)
    if zero_boundary:
        end = end.clamp(0, cells)
    to_end = entry_share, entry_velocity, time, w
    return Trajectory(end, leaves, first, border, entry, last, (share, velocity), to_border, to_end)


def sensitivities(path: Trajectory) -> Sensitivities:
    """Return how the ends of trajectories answer to changes of the field in their first and last pieces."""
    share, velocity = path.start
    distance, time, border_velocity = path.to_border
    first_uniform = distance / velocity / border_velocity
    first_right = time**2 * _q(torch.log(border_velocity / velocity)) + share * first_uniform
    share, velocity, time, w = path.to_end
    last_uniform = time * _phi(w)
    last_right = time**2 * velocity * _m(w) + share * last_uniform
    # What happens in the first piece and in the whole cells is carried on by the velocity at the end.
    carry = torch.where(path.leaves, path.end_velocity(), 0.0)
    first_uniform, first_right = (torch.where(path.leaves, carry * d, 0.0) for d in (first_uniform, first_right))
    return Sensitivities(first_uniform, first_right, last_uniform, last_right, carry)


def _whole_cells(field: Field) -> tuple[Tensor, Tensor]:
    """Return int b / u^2 dy over each cell, (B, K), for b = 1 and for the hat function b of its right knot."""
    left, right = field.velocity[:, :-1], field.velocity[:, 1:]
    crossed = field.time < 1  # others never are within the unit of time
    by_right = field.time**2 * _q(torch.log(right / left))
    return torch.where(crossed, 1 / (left * right), 0.0), torch.where(crossed, by_right, 0.0)


def _knots(uniform: Tensor, right: Tensor) -> Tensor:
    """Return sensitivities to knot velocities (..., K + 1), given those to each cell's field and its right knot."""
    pad = torch.nn.functional.pad
    return pad(uniform - right, (0, 1)) + pad(right, (1, 0))


def trajectory_jacobian(field: Field, path: Trajectory, dtype: torch.dtype) -> Tensor:
    """Return dT(x)/du (B, P, K + 1) in a type: the sensitivity of each end to each knot velocity. O(B P K) memory.

    Row k of a table of each field holds the sensitivities of all cells before knot k. The whole cells of a trajectory
    are the difference of two rows, those of its entry and its border; it changes sign where it leads to the left.
    """
    batch, knots = field.velocity.shape
    ends = sensitivities(path)
    uniform, right = _whole_cells(field)
    pad = torch.nn.functional.pad
    before = pad(uniform - right, (0, 1)).unsqueeze(1).expand(-1, knots, -1).tril(-1)
    before = (before + pad(right, (1, 0)).unsqueeze(1).expand(-1, knots, -1).tril()).to(dtype).flatten(0, 1)
    row = torch.arange(0, batch * knots, knots, device=before.device).unsqueeze(1)
    entry, border = (before.index_select(0, (row + knot).flatten()) for knot in (path.entry, path.border))
    jacobian = entry.sub_(border).view(batch, -1, knots).mul_(ends.carry.to(dtype).unsqueeze(-1))
    index = torch.stack([path.first, path.first + 1, path.last, path.last + 1], -1)
    first_left, last_left = ends.first_uniform - ends.first_right, ends.last_uniform - ends.last_right
    pieces = torch.stack([first_left, ends.first_right, last_left, ends.last_right], -1)
    return jacobian.scatter_add_(-1, index, pieces.to(dtype))


def _pull_back(field: Field, path: Trajectory, grad: Tensor) -> Tensor:
    """Return sum_p grad_p dT(x_p)/du, (B, K + 1), without forming the Jacobian."""
    ends, zeros = sensitivities(path), torch.zeros_like(field.slope)
    uniform = zeros.scatter_add(1, path.first, ends.first_uniform * grad)
    uniform = uniform.scatter_add_(1, path.last, ends.last_uniform * grad)
    right = zeros.scatter_add(1, path.first, ends.first_right * grad)
    right = right.scatter_add_(1, path.last, ends.last_right * grad)
    # +w at the knot where the whole cells begin, -w where they end; the running sum is each cell's weight.
    weight = ends.carry * grad
    marks = torch.zeros_like(field.velocity).scatter_add_(1, path.border, weight)
    weights = marks.scatter_add_(1, path.entry, -weight).cumsum(1)[:, :-1]
    by_uniform, by_right = _whole_cells(field)
    return _knots(uniform + weights * by_uniform, right + weights * by_right)


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
        """Trace the points; the trajectories are kept where an input needs its gradient."""
        field = make_field(knots_in_cells(theta.to(working), zero_boundary))
        cells = field.slope.shape[1]
        path = trace(field, points.to(working) * cells, zero_boundary=zero_boundary)
        ctx.shared, ctx.free = points.dim() == 1, slice(1, -1) if zero_boundary else slice(None)
        ctx.types = theta.dtype, points.dtype
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(*field, *path[:6], *path.start, *path.to_border, *path.to_end)
        return (path.end / cells).to(result)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Pull the gradient back along the trajectories."""
        if torch.is_grad_enabled():
            raise RuntimeError(
                "The CPAB warp has no second derivative here: call backward or torch.autograd.grad without "
                "create_graph=True, or take the slope from cpab_warp_and_slope."
            )
        saved = ctx.saved_tensors
        field, rest = Field(*saved[:4]), saved[4:]
        path = Trajectory._make([*rest[:6], rest[6:8], rest[8:11], rest[11:]])
        by_theta = by_points = None
        if ctx.needs_input_grad[1]:
            by_points = grad * path.slope()
            by_points = (by_points.sum(0) if ctx.shared else by_points).to(ctx.types[1])
        if ctx.needs_input_grad[0]:
            by_velocity = _pull_back(field, path, grad.to(field.slope.dtype))
            by_theta = (by_velocity[:, ctx.free] / field.slope.shape[1]).to(ctx.types[0])
        return by_theta, by_points, None, None, None
