"""The losses of TPL, equations [3] to [6] of Naaman, Shapira Weber, Freifeld (ICCV 2025)."""

import math

import torch
from torch import Tensor

from tpl_lightning.functional.collectives import global_mean
from tpl_lightning.functional.masks import length_mask
from tpl_lightning.functional.resample import resample

__all__ = ["annealed_weight", "icae_loss", "reconstruction_loss", "tpl_loss", "video_errors"]


def video_errors(found: Tensor, expected: Tensor, lengths: Tensor) -> Tensor:
    """Return each video's error (B,): squared distance, summed over channels, averaged over its frames.

    Computed in float32 at least; padding counts for nothing.

    Args:
        found: (B, T, C).
        expected: (B, T, C).
        lengths: (B,).
    """
    with torch.autocast(found.device.type, enabled=False):
        if found.dtype in (torch.float16, torch.bfloat16):
            found = found.float()
        mask = length_mask(lengths, found.shape[1]).unsqueeze(-1)
        # Masked before the square: 0 times the gradient of a NaN in the padding would be NaN again.
        difference = (found - expected.to(found.dtype)).masked_fill(~mask, 0.0)
        return difference.square().sum((1, 2)) / lengths


def icae_loss(
    latent: Tensor, position: Tensor, prototype: Tensor, action: Tensor, lengths: Tensor, prototype_length: Tensor
) -> Tensor:
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
        Scalar; under DDP see :func:`~tpl_lightning.functional.collectives.global_mean`.
    """
    with torch.autocast(latent.device.type, enabled=False):
        expected = resample(prototype.index_select(0, action), position, prototype_length)
    return global_mean(video_errors(latent, expected, lengths))


def reconstruction_loss(reconstruction: Tensor, embeddings: Tensor, lengths: Tensor) -> Tensor:
    """Return L_rec = mean_i || U_i - Dec(Z~_i) ∘ T^-theta_i ||^2 [4].

    Args:
        reconstruction: (B, T, C) Dec(Z~_i) ∘ T^-theta_i at the frames.
        embeddings: (B, T, C) U.
        lengths: (B,).

    Returns:
        Scalar; under DDP see :func:`~tpl_lightning.functional.collectives.global_mean`.
    """
    return global_mean(video_errors(reconstruction, embeddings, lengths))


def annealed_weight(epoch: float, alpha: float, t0: float) -> float:
    """Return lambda_t = 1 / (1 + exp(-alpha (t - t0))) [6], from 0 to 1, 1/2 at t0."""
    return 0.5 * (1.0 + math.tanh(0.5 * alpha * (epoch - t0)))  # the same function, and no overflow


def tpl_loss(icae: Tensor, reconstruction: Tensor, icae_weight: float, reconstruction_weight: float = 1.0) -> Tensor:
    """Return L_TPL = lambda_t L_ICAE + L_rec [5]; the paper's weight of L_rec is 1."""
    return icae_weight * icae + reconstruction_weight * reconstruction
