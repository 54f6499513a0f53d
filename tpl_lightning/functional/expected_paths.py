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

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tpl_lightning.functional.shapes import Float

_FAR = -1e30  # stands for the logarithm of 0, whose differences would be NaN
_LOG2_E = math.log2(math.e)  # logarithms are to base 2: exp2 takes half the time of exp


def _skewed(values: Tensor, fill: float) -> Tensor:
    """Return (N, M, B) as anti-diagonals (N + M - 1, N, B): entry [d, i] is cell (i, d - i), or ``fill``."""
    rows, columns, batch = values.shape
    diagonals = values.new_full((rows + columns - 1, rows, batch), fill)
    _unskewed(diagonals, columns).copy_(values)
    return diagonals


def _unskewed(diagonals: Tensor, columns: int) -> Tensor:
    """Return what :func:`_skewed` was made of, in the same memory."""
    _, rows, batch = diagonals.shape
    by_diagonal, by_row, by_item = diagonals.stride()
    return diagonals.as_strided((rows, columns, batch), (by_diagonal + by_row, by_diagonal, by_item))


def _forward(weight: Tensor) -> Tensor:
    """Return alpha on anti-diagonals, two before the first and a row before the first: (D + 2, N + 1, B)."""
    count, rows, batch = weight.shape
    alpha = weight.new_full((count + 2, rows + 1, batch), _FAR)
    alpha[2, 1] = weight[0, 0]
    for d in range(1, count):
        stay, up, both = alpha[d + 1, 1:], alpha[d + 1, :-1], alpha[d, :-1]
        least, larger = torch.minimum(stay, up), torch.maximum(stay, up)
        most, middle = torch.maximum(larger, both), torch.minimum(larger, both)
        total = least.sub_(most).exp2_().add_(middle.sub_(most).exp2_())  # and 1 of the most
        torch.add(most, total.log1p_(), alpha=_LOG2_E, out=alpha[d + 2, 1:]).add_(weight[d])
    return alpha


def _tangent(alpha: Tensor, weight: Tensor, direction: Tensor) -> Tensor:
    """Return the derivative of alpha, (D, N, B), as the weights move along ``direction`` (D, N, B)."""
    moved = alpha.new_zeros(alpha.shape)
    moved[2, 1] = direction[0, 0]
    for d in range(1, len(weight)):
        before = alpha[d + 2, 1:] - weight[d]
        total = direction[d].clone()
        for step, row in ((d + 1, slice(1, None)), (d + 1, slice(None, -1)), (d, slice(None, -1))):
            total.addcmul_((alpha[step, row] - before).clamp_(max=0.0).exp2_(), moved[step, row])
        torch.mul(total, weight[d] > 0.5 * _FAR, out=moved[d + 2, 1:])
    return moved[2:, 1:]


def _both_ways(values: Tensor, fill: float) -> Tensor:
    """Return (N, M, B) and the same from the other end as one batch of anti-diagonals."""
    return _skewed(torch.cat([values, values.flip(0, 1)], -1), fill)


def _met(diagonals: Tensor, values: Tensor) -> Tensor:
    """Return what the recursions from both ends say of each cell, (N, M, B), less what both count, and the whole."""
    forward, backward = _unskewed(diagonals, values.shape[1]).chunk(2, -1)
    return (forward + backward.flip(0, 1)).sub_(values).sub_(forward[-1:, -1:])


class _PathPosterior(torch.autograd.Function):
    """E of log weights w (N, M, B); both directions of the recursion run as one batch."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:  # type: ignore[override]
        weight = weight * _LOG2_E
        both = _both_ways(weight, _FAR)
        alpha = _forward(both)
        posterior = _met(alpha[2:, 1:], weight).clamp_(max=0.0).exp2_()
        ctx.save_for_backward(both, alpha, posterior)
        return posterior

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        both, alpha, posterior = ctx.saved_tensors
        moved: Tensor = _met(_tangent(alpha, both, _both_ways(grad, 0.0)), grad).mul_(posterior)
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
    found: Tensor = _PathPosterior.apply((cost / -gamma.reshape(-1, 1, 1)).permute(1, 2, 0))
    return found.permute(2, 0, 1)


def expected_path(
    cost: Float[Tensor, "B N M"], temperature: Tensor | float
) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"]]:
    """Return where the path lies at each row, and how sure that is.

    Convention: row i is video time i / (N - 1), column j prototype time j / (M - 1); the path maps video time to
    prototype time.

    Args:
        cost: (B, N, M) of frame i of the video facing point j of the prototype.
        temperature: See :func:`path_posterior`.

    Returns:
        Mean (B, N) in [0, 1], never decreasing, and variance (B, N) of the prototype time that frames face.

    Example:
        >>> cost = 100 * (1 - torch.eye(3))[None]
        >>> mean, variance = expected_path(cost, 1.0)
        >>> mean.round(decimals=3), bool(variance.max() < 0.01)
        (tensor([[0.0000, 0.5000, 1.0000]]), True)
    """
    visited = path_posterior(cost, temperature)
    share = visited / visited.sum(-1, keepdim=True)
    time = torch.linspace(0, 1, cost.shape[2], dtype=cost.dtype, device=cost.device)
    mean = share @ time
    variance = (share * (time - mean.unsqueeze(-1)).square()).sum(-1)
    return mean, variance
