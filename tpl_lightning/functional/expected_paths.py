"""The expected monotone path between two sequences: soft-DTW's forward-backward recursion, and its derivative.

Cuturi, Blondel, "Soft-DTW: a differentiable loss function for time-series", ICML 2017. With costs c and temperature
gamma, a monotone path pi from (0, 0) to (N - 1, M - 1) has probability proportional to exp(-sum_pi c / gamma). The
probability that it visits a cell is E = alpha + beta - w - log Z in logarithms, w = -c / gamma,

    alpha[i, j] = w[i, j] + log(exp alpha[i-1, j] + exp alpha[i, j-1] + exp alpha[i-1, j-1]),

beta the same from the other end, and log Z = alpha[N-1, M-1]. E is the gradient of log Z in w, so its Jacobian is
symmetric: the gradient of any function of E is the derivative of E in the direction of the gradient in E, which one
more pass of the recursion gives (Mensch, Blondel, "Differentiable dynamic programming for structured prediction and
attention", ICML 2018).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["expected_path", "path_posterior"]

_FAR = -1e30  # stands for the logarithm of 0, whose differences would be NaN


def _skewed(values: Tensor, fill: float) -> Tensor:
    """Return (B, N, M) as anti-diagonals (N + M - 1, N, B): entry [d, i] is cell (i, d - i), or ``fill``."""
    rows, columns = values.shape[1:]
    row = torch.arange(rows, device=values.device)
    column = torch.arange(rows + columns - 1, device=values.device).unsqueeze(1) - row
    inside = (column >= 0) & (column < columns)
    found = values.permute(1, 2, 0)[row, column.clamp(0, columns - 1)]
    return torch.where(inside.unsqueeze(-1), found, fill)


def _unskewed(diagonals: Tensor, columns: int) -> Tensor:
    """Return what :func:`_skewed` was made of."""
    rows = diagonals.shape[1]
    row = torch.arange(rows, device=diagonals.device).unsqueeze(1)
    column = torch.arange(columns, device=diagonals.device)
    return diagonals[row + column, row].permute(2, 0, 1)


def _forward(weight: Tensor) -> Tensor:
    """Return alpha on anti-diagonals, two before the first and a row before the first: (D + 2, N + 1, B)."""
    count, rows, batch = weight.shape
    alpha = weight.new_full((count + 2, rows + 1, batch), _FAR)
    alpha[2, 1] = weight[0, 0]
    for d in range(1, count):
        stay, up, both = alpha[d + 1, 1:], alpha[d + 1, :-1], alpha[d, :-1]
        most = torch.maximum(torch.maximum(stay, up), both)
        total = (stay - most).exp_() + (up - most).exp_() + (both - most).exp_()
        torch.add(most, total.log_(), out=alpha[d + 2, 1:]).add_(weight[d]).clamp_(min=_FAR)
    return alpha


def _tangent(alpha: Tensor, weight: Tensor, direction: Tensor) -> Tensor:
    """Return the derivative of alpha, (D, N, B), as the weights move along ``direction`` (D, N, B)."""
    moved = alpha.new_zeros(alpha.shape)
    moved[2, 1] = direction[0, 0]
    for d in range(1, len(weight)):
        before = alpha[d + 2, 1:] - weight[d]
        total = direction[d].clone()
        for step, row in ((d + 1, slice(1, None)), (d + 1, slice(None, -1)), (d, slice(None, -1))):
            total.addcmul_((alpha[step, row] - before).clamp_(max=0.0).exp_(), moved[step, row])
        torch.mul(total, weight[d] > 0.5 * _FAR, out=moved[d + 2, 1:])
    return moved[2:, 1:]


class _PathPosterior(torch.autograd.Function):
    """E of log weights w (B, N, M); both directions of the recursion run as one batch."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:  # type: ignore[override]
        both = _skewed(torch.cat([weight, weight.flip(1, 2)]), _FAR)
        alpha = _forward(both)
        forward, backward = _unskewed(alpha[2:, 1:], weight.shape[2]).chunk(2)
        posterior = (forward + backward.flip(1, 2) - weight - forward[:, -1:, -1:]).clamp_(max=0.0).exp_()
        ctx.save_for_backward(both, alpha, posterior)
        return posterior

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        both, alpha, posterior = ctx.saved_tensors
        direction = _skewed(torch.cat([grad, grad.flip(1, 2)]), 0.0)
        forward, backward = _unskewed(_tangent(alpha, both, direction), grad.shape[2]).chunk(2)
        moved: Tensor = posterior * (forward + backward.flip(1, 2) - grad - forward[:, -1:, -1:])
        return moved


def path_posterior(cost: Tensor, temperature: Tensor | float) -> Tensor:
    """Return the probability that the path visits each cell, (B, N, M); rows and columns sum to 1 or more.

    Differentiable in ``cost``, once; the temperature counts as a constant.

    Args:
        cost: (B, N, M) of each pair of frames, at least 0.
        temperature: gamma, above 0: a number, or one for each of the batch, (B,).

    Example:
        >>> cost = torch.tensor([[[0.0, 9.0], [9.0, 0.0]]])
        >>> path_posterior(cost, 0.1).round()
        tensor([[[1., 0.],
                 [0., 1.]]])
    """
    gamma = torch.as_tensor(temperature, dtype=cost.dtype, device=cost.device).detach()
    found: Tensor = _PathPosterior.apply(-cost / gamma.reshape(-1, 1, 1))
    return found


def expected_path(cost: Tensor, temperature: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return where the path lies at each row, and how sure that is.

    Convention: row i is video time i / (N - 1), column j prototype time j / (M - 1); the path maps video time to
    prototype time.

    Args:
        cost: (B, N, M) of frame i of the video facing point j of the prototype.
        temperature: See :func:`path_posterior`.

    Returns:
        Mean (B, N) in [0, 1], never decreasing, and variance (B, N) of the prototype time that frames face.
    """
    visited = path_posterior(cost, temperature)
    share = visited / visited.sum(-1, keepdim=True)
    time = torch.linspace(0, 1, cost.shape[2], dtype=cost.dtype, device=cost.device)
    mean = share @ time
    variance = (share * (time - mean.unsqueeze(-1)).square()).sum(-1)
    return mean, variance
