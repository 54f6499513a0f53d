"""The losses of TPL, equations [3] to [6] of Naaman, Shapira Weber, Freifeld (ICCV 2025)."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tpl_lightning.functional import Float, Int, global_mean, length_mask, resample


def video_errors(
    found: Float[Tensor, "B T C"], expected: Float[Tensor, "B T C"], lengths: Int[Tensor, "B"]
) -> Float[Tensor, "B"]:
    """Return each video's error (B,): squared distance, summed over channels, averaged over its frames.

    Computed in float32 at least; padding counts for nothing.

    Args:
        found: (B, T, C).
        expected: (B, T, C).
        lengths: (B,).

    Example:
        >>> video_errors(torch.ones(1, 3, 2), torch.zeros(1, 3, 2), torch.tensor([3])).tolist()
        [2.0]
    """
    with torch.autocast(found.device.type, enabled=False):
        if found.dtype in (torch.float16, torch.bfloat16):
            found = found.float()
        mask = length_mask(lengths, found.shape[1]).unsqueeze(-1)
        # Masked before the square: 0 times the gradient of a NaN in the padding would be NaN again.
        difference = (found - expected.to(found.dtype)).masked_fill(~mask, 0.0)
        return difference.square().sum((1, 2)) / lengths


def icae_loss(
    latent: Float[Tensor, "B T D"],
    position: Float[Tensor, "B T"],
    prototype: Float[Tensor, "A P D"],
    action: Int[Tensor, "B"],
    lengths: Int[Tensor, "B"],
    prototype_length: Int[Tensor, "B"],
) -> Float[Tensor, ""]:
    """Return L_ICAE = mean_i || Z^ ∘ T^-theta_i - Z_i ||^2 [3].

    The inverse-consistency averaging error: the prototype, brought back to each video's own time, against the video.

    Args:
        latent: (B, T, D) Z.
        position: (B, T) T^-theta_i at the frames: their times on the prototype timeline.
        prototype: (A, P, D) Z^ of each action.
        action: (B,).
        lengths: (B,) frames of each video.
        prototype_length: (B,) points of the prototype of each video's action.

    Returns:
        Scalar; under DDP see :func:`~tpl_lightning.functional.distributed.global_mean`.

    Example:
        >>> latent, line = torch.tensor([[[0.0], [1.0], [2.0]]]), torch.tensor([[0.0, 0.5, 1.0]])
        >>> one = torch.tensor([3])
        >>> icae_loss(latent, line, latent + 2, torch.tensor([0]), one, one).item()
        4.0
    """
    with torch.autocast(latent.device.type, enabled=False):
        expected = resample(prototype.index_select(0, action), position, prototype_length)
    return global_mean(video_errors(latent, expected, lengths))


class _LinearError(torch.autograd.Function):
    """sum_n s_n || W h_n + b - u_n ||^2 over frames n, for a map to many more channels than it comes from.

    Multiplied out, so that the differences, as the embeddings, are never made: what is left are products with
    H columns, which the gradients are made of as well. Rounding leaves an error of some 1e-7 of sum_n s_n |u_n|^2.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, expected: Tensor, share: Tensor
    ) -> Tensor:
        """Map (N, H), (C, H), (C,), (N, C) and (N, 1) to a scalar."""
        weighted, size = hidden * share, share.sum()
        cross = expected.T @ weighted  # sum s u h'
        square, gram, mean = weight.T @ weight, hidden.T @ weighted, weighted.sum(0)  # W' W, sum s h h', sum s h
        offset, target = weight.T @ bias, expected.T @ share.squeeze(1)  # W' b, sum s u
        ctx.save_for_backward(
            torch.addmm(offset, hidden, square).addmm_(expected, weight, alpha=-1).mul_(2 * share),
            torch.addmm(torch.outer(bias, mean) - cross, weight, gram).mul_(2),
            (weight @ mean + size * bias - target) * 2,
        )
        norms = torch.linalg.vector_norm(expected, dim=1).square_()
        found = (square * gram).sum() + 2 * (mean @ offset) + size * (bias @ bias)
        return found - 2 * ((weight * cross).sum() + bias @ target) + norms @ share.squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        by_hidden, by_weight, by_bias = ctx.saved_tensors
        return grad * by_hidden, grad * by_weight, grad * by_bias, None, None


def reconstruction_error(
    hidden: Float[Tensor, "B T H"],
    weight: Float[Tensor, "C H"],
    bias: Float[Tensor, "C"],
    embeddings: Float[Tensor, "B T C"],
    lengths: Int[Tensor, "B"],
) -> Float[Tensor, ""]:
    """Return sum_i || U_i - W H_i - b ||^2, averaged over each video's frames, of videos (B, T, H) of one linear map.

    Computed in float32 at least. What padding holds counts for nothing, but must be finite. No gradient reaches the
    embeddings.

    Args:
        hidden: (B, T, H) what that map gets at the frames.
        weight: (C, H) of the map.
        bias: (C,) of the map.
        embeddings: (B, T, C) U.
        lengths: (B,).

    Example:
        >>> hidden, embeddings = torch.ones(1, 4, 2), torch.zeros(1, 4, 3)
        >>> reconstruction_error(hidden, torch.zeros(3, 2), torch.ones(3), embeddings, torch.tensor([4])).item()
        3.0
    """
    with torch.autocast(hidden.device.type, enabled=False):
        weight, bias, embeddings = (x.to(hidden.dtype) for x in (weight, bias, embeddings))
        share = length_mask(lengths, hidden.shape[1]) / lengths.unsqueeze(1).to(hidden.dtype)
        error: Tensor = _LinearError.apply(
            hidden.flatten(0, 1), weight, bias, embeddings.flatten(0, 1), share.view(-1, 1)
        )
        return error


def reconstruction_loss(hidden: Tensor, weight: Tensor, bias: Tensor, embeddings: Tensor, lengths: Tensor) -> Tensor:
    """Return L_rec = mean_i || U_i - Dec(Z~_i) ∘ T^-theta_i ||^2 [4], the decoder's last map included.

    Arguments as of :func:`reconstruction_error`.

    Returns:
        Scalar; under DDP see :func:`~tpl_lightning.functional.distributed.global_mean`.
    """
    return mean_of_total(reconstruction_error(hidden, weight, bias, embeddings, lengths), len(hidden))


def mean_of_total(total: Float[Tensor, ""], count: int) -> Float[Tensor, ""]:
    """Return the mean per video of a sum over this rank's ``count`` videos, as ``global_mean`` of each would.

    Example:
        >>> mean_of_total(torch.tensor(6.0), 3).item()
        2.0
    """
    return global_mean((total / count).expand(count))


def annealed_weight(epoch: float, alpha: float, t0: float) -> float:
    """Return lambda_t = 1 / (1 + exp(-alpha (t - t0))) [6], from 0 to 1, 1/2 at t0.

    Example:
        >>> [round(annealed_weight(epoch, alpha=2.0, t0=5.0), 3) for epoch in (0, 5, 6)]
        [0.0, 0.5, 0.881]
    """
    return 0.5 * (1.0 + math.tanh(0.5 * alpha * (epoch - t0)))  # the same function, and no overflow


def tpl_loss(
    icae: Float[Tensor, ""], reconstruction: Float[Tensor, ""], icae_weight: float, reconstruction_weight: float = 1.0
) -> Float[Tensor, ""]:
    """Return L_TPL = lambda_t L_ICAE + L_rec [5]; the paper's weight of L_rec is 1.

    Example:
        >>> tpl_loss(torch.tensor(2.0), torch.tensor(3.0), icae_weight=0.5).item()
        4.0
    """
    return icae_weight * icae + reconstruction_weight * reconstruction
