r"""The closed-form flow of a piecewise-affine velocity field, with its analytic derivatives.

A point that starts at y moves by dy/dt = u(y) for one unit of time. Everything here counts in cells: y in [0, K],
knots at 0, 1, ..., K, so within cell c the slope of the field is a = u_{c+1} - u_c and a point moves along an
exponential, y(t) = y + u(y) t phi(a t) with phi(w) = (e^w - 1) / w. Instead of stepping from cell to cell, three
facts are used:

- The time to cross a cell is the same for every point: log(r) / (r - 1) / u_c with r = u_{c+1} / u_c. Travel times
  add up, so cumulative sums over the cells and one binary search find the cell in which the unit of time ends.
  A cell in which u vanishes is never crossed; it counts as longer than the unit of time.
- The answer d to a change b of the field obeys the linear equation d' = a d + b(y), so
  d(1) = u(y(1)) int b(y(t)) / u(y(t)) dt: additive over cells as well (Martinez et al., ICML 2022).
- Within a piece of duration t and w = a t that starts at y, with m(w) = phi'(w) and q(w) = e^-w m(w):
  int 1 / u dt = t phi(-w) / u(y) and int (y(t) - y) / u dt = t^2 q(w).

It is float64 where the device has it: at velocities of 20 a float32 time is worth 1e-6 of a position. Memory is
O(batch x points); nothing waits for the device, and torch.compile takes it whole. Adding 1e-36 to the parts of
log(r) / (r - 1), and to w in (e^w - 1) / w, is below their rounding, and makes the quotients 1 where they are 0 / 0.

On a CPU the time goes into memory traffic and mispredicted branches, hence three habits. A choice between two
tensors is made by torch.lerp with a weight of exactly 0 or 1, which takes either side as it is (both must be finite)
and is several times as torch.where. Dead tensors are written over: touching fresh memory costs more than the
arithmetic. And the answers to the field are taken along the way, so that 8 numbers per point are kept, not 16.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["CPABFlow", "Field", "Path", "knots_in_cells", "make_field", "path_jacobian", "trace"]

_BARRIER = 2.0  # time counted for a cell that cannot be crossed: more than the one unit there is
_FAR = 1e30
_TINY = 1e-36  # a float32 too


class Field(NamedTuple):
    """A batch of velocity fields, ready for the flow."""

    velocity: Tensor
    """(B, K + 1) at the knots, in cells per unit of time."""
    slope: Tensor
    """(B, K) of each cell, per unit of time."""
    exponent: Tensor
    """(B, K) w of the crossing of each cell, log(u_{c+1} / u_c); far out where it cannot be crossed."""
    time: Tensor
    """(B, K) time to cross each cell, ``_BARRIER`` at most."""
    elapsed: Tensor
    """(B, K + 1) time to travel from knot 0 to knot k: the running sum of ``time``."""


class Path(NamedTuple):
    """Where each point went, (B, P) each: a piece in its first cell, whole cells, a piece in its last cell.

    A point that does not leave its first cell has only the last piece. ``uniform`` and ``right`` say how the end
    answers, by what happens in that piece, to a uniform change of the cell's field and to one of its right knot.
    """

    end: Tensor
    """Position after one unit of time, in cells."""
    slope: Tensor
    """dT/dx = u(T(x)) / u(x), and its limit e^a where u(x) is 0; empty if not asked for."""
    cell: Tensor
    """First cell, (P,) or (B, P)."""
    border: Tensor
    """Knot by which the first cell is left."""
    entry: Tensor
    """Knot by which the last cell is entered."""
    last: Tensor
    """Last cell."""
    first_uniform: Tensor
    """Empty if not asked for, as all that follow."""
    first_right: Tensor
    last_uniform: Tensor
    last_right: Tensor
    carry: Tensor
    """Velocity at the end, 0 if the first cell is never left: how the end answers to an advance at ``border``."""


def make_field(velocity: Tensor) -> Field:
    """Prepare knot velocities (B, K + 1), in cells per unit of time, for the flow."""
    left, right = velocity[:, :-1], velocity[:, 1:]
    exponent, mean = _log_and_mean(torch.div(right, left))
    time = _reachable(mean.div_(left).abs_()).clamp_(max=_BARRIER)
    return Field(velocity, right - left, exponent, time, torch.nn.functional.pad(time.cumsum(1), (1, 0)))


def _log_and_mean(ratio: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return log(r), and log(r) / (r - 1) in the memory of ``ratio``; both far out where r <= 0."""
    # The logarithm of 0 is slow on a CPU, so it is not taken.
    log = torch.log(ratio.clamp_(min=_TINY), out=out)
    torch.threshold_(log, math.log(2 * _TINY), -_FAR).add_(_TINY)
    return log, torch.div(log, ratio.sub_(1.0).add_(_TINY), out=ratio)


def _reachable(time: Tensor) -> Tensor:
    """Replace what is not finite: the velocity is 0 at the start or somewhere on the way."""
    return time.nan_to_num_(nan=_BARRIER, posinf=_BARRIER, neginf=_BARRIER)


def _finite(part: Tensor) -> Tensor:
    """Make a part finite that gets a weight of 0 wherever it is not."""
    return part.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)


def _near_zero(w: Tensor, slope: float, value: Tensor, spare: list[Tensor]) -> Tensor:
    """Return 1/2 + slope w where w is small, the formula elsewhere, in the memory of ``value``."""
    small = (8 * torch.finfo(w.dtype).eps) ** (1 / 3)  # where the series is off by w^2 / 8, the formula by eps / w
    large = torch.abs(w, out=spare[-1])
    large = torch.gt(large, small, out=large)
    return torch.lerp(torch.mul(w, slope, out=spare[-2]).add_(0.5), value, large, out=value)


def _m(w: Tensor, growth: Tensor, spare: list[Tensor]) -> Tensor:
    """Return m(w) = (w e^w - (e^w - 1)) / w^2 = 1/2 + w/3 + ..., given ``growth`` = e^w - 1."""
    value = torch.sub(w, growth, out=spare.pop()).addcmul_(w, growth).div_(w).div_(w)
    return _near_zero(w, 1 / 3, value, spare)


def _q(w: Tensor, shrink: Tensor, spare: list[Tensor]) -> Tensor:
    """Return q(w) = (w - (1 - e^-w)) / w^2 = 1/2 - w/6 + ..., given ``shrink`` = e^-w - 1, in its memory."""
    return _near_zero(w, -1 / 6, shrink.add_(w).div_(w).div_(w), spare)


class _First(NamedTuple):
    """The piece in the first cell; names as in :class:`Path`."""

    cell: Tensor
    fraction: Tensor
    """Start as a share of the cell."""
    velocity: Tensor
    """At the start."""
    backward: Tensor
    """1 if the point moves to the left, else 0."""
    border: Tensor
    remaining: Tensor
    """Time left at the border; for points that do not get there, a time that leads back into their cell."""
    exits: Tensor
    """1 if the border is reached, else 0."""


def _first_piece(field: Field, points: Tensor, zero_boundary: bool, kept: list[Tensor], spare: list[Tensor]) -> _First:
    """Follow points to the border of their first cell; its ``uniform`` and ``right`` go to ``kept``, if it has any."""
    batch, cells = field.slope.shape
    floor = points.floor().clamp_(0, cells - 1)
    fraction, cell = points - floor, floor.long()
    left = torch.gather(field.velocity, 1, cell.expand(batch, -1), out=spare.pop())
    right = torch.gather(field.velocity, 1, (cell + 1).expand(batch, -1), out=spare.pop())
    velocity = torch.lerp(left, right, fraction, out=spare.pop())
    backward = torch.lt(velocity, 0.0, out=spare.pop())
    border = torch.sub(floor.add_(1.0), backward, out=spare.pop())
    knot = border.long()
    inner = None if zero_boundary else torch.minimum(border, cells - border).clamp_(0.0, 1.0)
    cruise = border.sub_(points).div_(velocity)  # time to the border at the velocity of the start
    border_velocity = torch.lerp(right, left, backward, out=left)
    exponent, mean = _log_and_mean(torch.div(border_velocity, velocity, out=right), spare.pop())
    time = _reachable(mean.mul_(cruise))
    # A remaining time that is lost when added to ``elapsed`` would be looked up on the wrong side of the border.
    lost = 4096 * torch.finfo(time.dtype).eps
    remaining = torch.threshold_(torch.sub(1.0, time, out=spare.pop()), lost, -0.5)
    exits = torch.gt(remaining, 0.0, out=spare.pop())
    if inner is not None:  # the field goes on beyond the ends, and so do the points: no border there
        exits.mul_(inner)
        remaining.sub_(1.0).mul_(inner).add_(1.0)
    if kept:
        uniform = torch.div(cruise, border_velocity, out=kept[0])
        shrink = torch.div(velocity, border_velocity, out=border_velocity).sub_(1.0)
        ramp = _q(exponent, shrink, spare).mul_(time).mul_(time)
        _finite(torch.addcmul(ramp, fraction, uniform, out=kept[1]))
        _finite(uniform)
    spare += [left, right, border, exponent]
    return _First(cell, fraction, velocity, backward, knot, remaining, exits)


def trace(
    field: Field, points: Tensor, *, zero_boundary: bool, by_field: bool = False, by_points: bool = False
) -> Path:
    """Follow points, (P,) or (B, P) in cells, for one unit of time.

    Convention: [0, K] -> [0, K] (the ends stay) with ``zero_boundary``; else the field goes on beyond the ends
    with the slope of the first and the last cell, and so do the points.

    Args:
        field: Of :func:`make_field`.
        points: (P,) or (B, P).
        zero_boundary: Whether the ends stay.
        by_field: Whether the answers to the field are wanted.
        by_points: Whether the slope is wanted.
    """
    size = len(field.slope), points.shape[-1]
    kept = list(field.slope.new_empty(5, *size).unbind()) if by_field else []
    spare = list(field.slope.new_empty(10, *size).unbind())
    first = _first_piece(field, points, zero_boundary, kept, spare)
    exits, buffer = first.exits, spare.pop()
    # From the border on: the time left is walked along the cumulative crossing times, of which cell c ends at the
    # c-th inner one. A point that stays finds its own cell, as its time leads back from the border.
    target = torch.addcmul(first.remaining, first.remaining, first.backward, value=-2.0, out=spare.pop())
    target.add_(torch.gather(field.elapsed, 1, first.border, out=buffer))
    last = torch.searchsorted(field.elapsed[:, 1:-1].contiguous(), target, right=True)
    knot = spare.pop().copy_(last)
    entry = torch.add(knot, first.backward, out=buffer).long()
    time = target.sub_(torch.gather(field.elapsed, 1, entry, out=buffer)).abs_()
    time = torch.lerp(time.new_ones(1), time, exits, out=first.remaining)
    share = torch.lerp(first.fraction, first.backward, exits, out=first.backward)  # start of the piece in its cell
    velocity = torch.gather(field.velocity, 1, entry, out=buffer)
    velocity = torch.lerp(first.velocity, velocity, exits, out=target)
    largest = 0.85 * math.log(torch.finfo(time.dtype).max)  # its exponential is finite, with room for products
    exponent = torch.gather(field.slope, 1, last, out=buffer).mul_(time).clamp_(max=largest).add_(_TINY)
    growth = torch.expm1(exponent, out=spare.pop())
    uniform = torch.div(growth, exponent, out=kept[2] if kept else None).mul_(time)
    slope = time.new_empty(0)
    if by_points:
        # Where the velocity is 0, the point stays and the two velocities of the quotient are the same.
        slope = torch.div(velocity, first.velocity).nan_to_num_(nan=1.0)
        slope.addcmul_(slope, growth)
    end = torch.addcmul(share, uniform, velocity, out=first.velocity).add_(knot)
    if zero_boundary:
        end.clamp_(0.0, field.slope.shape[1])
    if kept:
        spare.append(knot)
        ramp = _m(exponent, growth, spare).mul_(time).mul_(time).mul_(velocity)
        torch.addcmul(ramp, share, uniform, out=kept[3])
        # What happens in the first piece and in the whole cells is carried on by the velocity at the end.
        carry = torch.addcmul(velocity, growth, velocity, out=kept[4]).mul_(exits)
        kept[0].mul_(carry)
        kept[1].mul_(carry)
    return Path(end, slope, first.cell, first.border, entry, last, *(kept or [time.new_empty(0)] * 5))


def _whole_cells(field: Field) -> tuple[Tensor, Tensor]:
    """Return int b / u^2 dy over each cell, (B, K), for b = 1 and for the hat function b of its right knot."""
    left, right = field.velocity[:, :-1], field.velocity[:, 1:]
    spare = [torch.empty_like(field.time) for _ in range(2)]
    crossed = torch.lt(field.time, 1.0, out=torch.empty_like(field.time))  # others never are within the unit of time
    uniform = torch.mul(left, right).reciprocal_()
    by_right = _q(field.exponent, torch.div(left, right).sub_(1.0), spare).mul_(field.time).mul_(field.time)
    return _finite(uniform).mul_(crossed), _finite(by_right).mul_(crossed)


def _knots(uniform: Tensor, right: Tensor) -> Tensor:
    """Return answers to knot velocities (..., K + 1), given those to each cell's field and to its right knot."""
    result = torch.nn.functional.pad(uniform.sub_(right), (0, 1))
    result[..., 1:].add_(right)
    return result


def path_jacobian(field: Field, path: Path, dtype: torch.dtype) -> Tensor:
    """Return dT(x)/du (B, P, K + 1) in a type: how each end answers to each knot velocity. O(B P K) memory.

    Row k of a table of each field holds the answers of all cells before knot k. The whole cells of a path are the
    difference of two rows, those of its entry and its border; it changes sign where the path leads to the left.
    """
    batch, knots = field.velocity.shape
    uniform, right = _whole_cells(field)
    before = torch.nn.functional.pad(uniform.sub_(right), (0, 1)).unsqueeze(1).expand(-1, knots, -1).tril(-1)
    before += torch.nn.functional.pad(right, (1, 0)).unsqueeze(1).expand(-1, knots, -1).tril()
    table, row = before.to(dtype).flatten(0, 1), torch.arange(0, batch * knots, knots, device=before.device)
    entry, border = (table.index_select(0, (k + row.unsqueeze(1)).flatten()) for k in (path.entry, path.border))
    jacobian = entry.sub_(border).view(batch, -1, knots).mul_(path.carry.to(dtype).unsqueeze(-1))
    first, last = path.cell.expand_as(path.last), path.last
    by_left = path.first_uniform - path.first_right, path.last_uniform - path.last_right
    index = torch.stack([first, first + 1, last, last + 1], -1)
    pieces = torch.stack([by_left[0], path.first_right, by_left[1], path.last_right], -1)
    return jacobian.scatter_add_(-1, index, pieces.to(dtype))


def _pull_back(field: Field, path: Path, grad: Tensor) -> Tensor:
    """Return sum_p grad_p dT(x_p)/du, (B, K + 1), without forming the Jacobian."""
    uniform, right = torch.zeros_like(field.slope), torch.zeros_like(field.slope)
    first, part = path.cell.expand_as(grad), torch.empty_like(grad)
    uniform.scatter_add_(1, first, torch.mul(path.first_uniform, grad, out=part))
    uniform.scatter_add_(1, path.last, torch.mul(path.last_uniform, grad, out=part))
    right.scatter_add_(1, first, torch.mul(path.first_right, grad, out=part))
    right.scatter_add_(1, path.last, torch.mul(path.last_right, grad, out=part))
    # +w at the knot where the whole cells begin, -w where they end; the running sum is each cell's weight.
    marks = torch.zeros_like(field.velocity)
    marks.scatter_add_(1, path.border, torch.mul(path.carry, grad, out=part))
    marks.scatter_add_(1, path.entry, part.neg_())
    weights = marks.cumsum_(1)[:, :-1]
    by_uniform, by_right = _whole_cells(field)
    return _knots(uniform.addcmul_(weights, by_uniform), right.addcmul_(weights, by_right))


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
        """Trace the points, and keep how their ends answer to the inputs that need it."""
        by_theta, by_points = ctx.needs_input_grad[:2]
        field = make_field(knots_in_cells(theta.to(working), zero_boundary))
        cells = field.slope.shape[1]
        path = trace(
            field, points.to(working) * cells, zero_boundary=zero_boundary, by_field=by_theta, by_points=by_points
        )
        ctx.shared, ctx.free = points.dim() == 1, slice(1, -1) if zero_boundary else slice(None)
        ctx.types = theta.dtype, points.dtype
        # Neither the end nor, where theta is fixed, the path is looked at again.
        ctx.save_for_backward(path.slope, *((*field, *path[2:]) if by_theta else ()))
        return (path.end / cells).to(result)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Pull the gradient back along the paths."""
        if torch.is_grad_enabled():
            raise RuntimeError(
                "The CPAB warp has no second derivative here: call backward or torch.autograd.grad without "
                "create_graph=True, or take the slope from cpab_warp_and_slope."
            )
        slope, *rest = ctx.saved_tensors
        by_theta = by_points = None
        if ctx.needs_input_grad[1]:
            by_points = grad * slope
            by_points = (by_points.sum(0) if ctx.shared else by_points).to(ctx.types[1])
        if ctx.needs_input_grad[0]:
            size = len(Field._fields)
            field, path = Field(*rest[:size]), Path(grad, slope, *rest[size:])
            by_velocity = _pull_back(field, path, grad.to(field.slope.dtype))
            by_theta = (by_velocity[:, ctx.free] / field.slope.shape[1]).to(ctx.types[0])
        return by_theta, by_points, None, None, None
