"""Questions to a trained network, answered without labels: does its aligner measure timing, or its encoder cheat?

A loss near 0 need not mean aligned. An encoder can bring the training videos in step by itself, by memorising them or
by becoming a clock (a latent that tells the time of the video, whatever it shows), and an aligner can recognise clips
rather than measure their timing. See docs/lab_notes/networks.md, "Why TPL as written does not align".
"""

import torch
from torch import Tensor

from tpl_lightning.functional import Float, Int, sample_rows

ROUGHNESS_WEIGHT = 0.1
"""Price of roughness against agreement, where the score follows CBC and PLP best (docs/lab_notes/quality.md)."""
LEAST_SLOPE = 1e-3
"""Slopes of warps below count as this in their roughness, a mean square of logarithms."""


def relative_icae(
    latent: Float[Tensor, "N G D"], position: Float[Tensor, "N G"], prototype: Float[Tensor, "N G D"]
) -> Float[Tensor, ""]:
    """Return mean_i || P_i ∘ T^-theta_i - Z_i ||^2 over the variance of Z: what prototypes do not explain of it.

    Convention: ``position`` maps video time to prototype time, both on a grid j / (G - 1).

    Args:
        latent: (N, G, D) Z on the shared grid.
        position: (N, G) T^-theta at the grid; the grid itself for identity warps.
        prototype: (N, G, D) what each video is compared with.

    Returns:
        Scalar; about 1 where prototypes explain nothing.

    Example:
        >>> line = torch.linspace(0, 1, 5).expand(1, -1)
        >>> relative_icae(line[..., None], line, line[..., None]).item()  # the prototype explains all
        0.0
    """
    error = (sample_rows(prototype, position) - latent).square().sum(-1).mean()
    variance = (latent - latent.mean(1, keepdim=True)).square().sum(-1).mean()
    return error / variance.clamp(min=1e-12)


def left_over(
    position: Float[Tensor, "N G"], warped_position: Float[Tensor, "N G"], warp: Float[Tensor, "N G"]
) -> Float[Tensor, ""]:
    """Return the share of a known warp of the input that an aligner leaves over: 0 none of it, 1 all (it ignores it).

    A video warped by W lies at T^-theta ∘ W on the prototype timeline. Returned is the root mean square distance of
    what is found from there, over that of what was found without the warp.

    Args:
        position: (N, G) T^-theta of the videos, on the grid j / (G - 1).
        warped_position: (N, G) the same of U_i ∘ W_i.
        warp: (N, G) W_i at the grid.

    Example:
        >>> time = torch.linspace(0, 1, 5).expand(1, -1)
        >>> left_over(time, time**2, time**2)  # found to the full
        tensor(0.)
        >>> left_over(time, time, time**2)  # not seen at all
        tensor(1.)
    """
    expected = sample_rows(position.unsqueeze(-1), warp).squeeze(-1)
    missed = (warped_position - expected).square().mean().sqrt()
    return missed / (position - expected).square().mean().sqrt().clamp(min=1e-12)


def clock_share(latent: Float[Tensor, "N G D"], action: Int[Tensor, "N"]) -> Float[Tensor, ""]:
    """Return R^2 of Z on a cubic of time that all videos of an action share: near 1, the latent is a clock.

    Args:
        latent: (N, G, D) Z on the shared grid.
        action: (N,).

    Example:
        >>> time = torch.linspace(0, 1, 20).view(1, 20, 1).expand(2, 20, 1)
        >>> round(clock_share(time, torch.tensor([0, 0])).item(), 3)
        1.0
    """
    time = torch.linspace(-1, 1, latent.shape[1], dtype=torch.float64, device=latent.device)
    powers = torch.stack([time**k for k in range(4)], -1)  # (G, 4)
    residual = total = latent.new_zeros((), dtype=torch.float64)
    for label in action.unique():
        values = latent[action == label].double()
        mean = values.mean(0)  # the videos share the times, so the cubic of all is that of their mean
        cubic = powers @ torch.linalg.lstsq(powers, mean).solution
        residual = residual + (values - cubic).square().sum()
        total = total + (values - values.mean((0, 1))).square().sum()
    return (1 - residual / total.clamp(min=1e-12)).to(latent.dtype)
