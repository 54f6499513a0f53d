"""Warps nearest to given positions, by weighted linear least squares in closed form."""

import torch
from torch import Tensor

from tpl_lightning.functional import Float
from tpl_lightning.functional.warps.cpab import cell_slopes, velocity_basis
from tpl_lightning.functional.warps.ends import between_ends, first_ends, prototype_times_jacobian

_HELD = 1e-3  # prior of open ends about the first guess, against squared errors of position
_JITTER = 1e-9  # on the diagonal of the normal equations, against positions that say nothing of a knot


def least_squares_warps(
    position: Float[Tensor, "B G"],
    weight: Float[Tensor, "B G"],
    *,
    num_cells: int,
    smoothness: float,
    corrections: int = 1,
    ends: bool = False,
) -> Float[Tensor, "B d"]:
    """Return theta that minimises sum_t w_t (T^-theta(t) - x_t)^2 + smoothness * mean_c a_c^2.

    A point of a flow moves as the velocity halfway along its way tells, T^-theta(t) - t = -v((t + x_t) / 2) to
    second order, and v is linear in theta: the first theta comes from one linear solve. Each correction is a
    Gauss-Newton step, one more solve about the warp that was found.

    Convention: ``position[i, g]`` = T^-theta_i(g / (G - 1)); video time -> prototype time, ends fixed.

    Differentiable in ``position`` and ``weight``: the derivative of the last solve, which is exact where the
    steps have converged. Computed in float64 (float32 on devices that have no other).

    Args:
        position: (B, G) in [0, 1], video time to prototype time.
        weight: (B, G) w, at least 0; brought to sum 1 for each video.
        num_cells: Equal cells K of the warps.
        smoothness: Weight of the prior: mean square slope of the velocity field against squared error of position.
        corrections: Gauss-Newton steps.
        ends: Whether ends are open: positions at 0 and 1 before and behind the action are idle, the first above 0 and
            the last below 1 are where a video begins late and stops early.

    Returns:
        theta (B, K - 1), or (B, K + 1) with open ends, of the type of ``position``.

    Example:
        >>> from tpl_lightning.functional.warps import cpab_warp
        >>> position = torch.linspace(0, 1, 32)[None] ** 1.2
        >>> theta = least_squares_warps(position, torch.ones(1, 32), num_cells=8, smoothness=1e-6)
        >>> found = cpab_warp(-theta, torch.linspace(0, 1, 32), num_cells=8)
        >>> (found - position).abs().max().item() < 0.01
        True
    """
    dtype = torch.float32 if position.device.type == "mps" else torch.float64
    with torch.autocast(position.device.type, enabled=False):
        target, share = position.to(dtype), weight.to(dtype)
        first = first_ends(target.detach()) if ends else None
        place, inside = (target, share) if first is None else between_ends(target, first, share)
        inside, share = inside / inside.sum(1, keepdim=True), share / share.sum(1, keepdim=True)
        time = torch.linspace(0, 1, position.shape[1], dtype=dtype, device=position.device)
        slopes = cell_slopes(torch.eye(num_cells - 1, dtype=dtype, device=position.device), num_cells=num_cells)
        prior = smoothness * (slopes @ slopes.T) / num_cells
        moved = place - time
        knots = torch.arange(num_cells + 1, dtype=dtype, device=position.device)
        halfway = (time + 0.5 * moved).unsqueeze(-1) * num_cells
        basis = velocity_basis(num_cells, dtype=dtype, device=position.device)
        velocity = (1 - (halfway - knots).abs()).clamp(min=0) @ basis.T  # (B, G, K - 1) of each unit of theta
        theta = _solve(-velocity, moved, inside, prior)
        if first is not None:
            theta = torch.cat([theta, torch.zeros_like(first)], 1)  # by how much ends move from the first guess
            prior = torch.block_diag(prior, _HELD * torch.eye(2).to(prior))
        for _ in range(corrections):
            about = theta.detach() if first is None else _with_first(theta.detach(), first)
            found, jacobian = prototype_times_jacobian(about, time, num_cells=num_cells)
            jacobian = jacobian.to(dtype)
            residual = target - found + (jacobian @ theta.detach().unsqueeze(-1)).squeeze(-1)
            theta = _solve(jacobian, residual, share, prior)
        return (theta if first is None else _with_first(theta, first)).to(position.dtype)


def _with_first(theta: Tensor, first: Tensor) -> Tensor:
    """Return theta (B, d + 2) whose last two are offsets from ends (B, 2), with these ends."""
    return torch.cat([theta[:, :-2], theta[:, -2:] + first], 1)


def _solve(jacobian: Tensor, residual: Tensor, share: Tensor, prior: Tensor) -> Tensor:
    """Return argmin_theta sum_g s_g (J_g theta - r_g)^2 + theta' P theta."""
    weighted = (jacobian * share.unsqueeze(-1)).transpose(1, 2)
    matrix = weighted @ jacobian + prior
    matrix = matrix + _JITTER * torch.eye(len(prior), dtype=prior.dtype, device=prior.device)
    return torch.linalg.solve(matrix, (weighted @ residual.unsqueeze(-1)).squeeze(-1))
