"""Signals on the grid that all videos share, times j / (G - 1): smoothing and sampling."""

import torch
from torch import Tensor

__all__ = ["gaussian_smoother", "sample_rows", "stage_size"]


def gaussian_smoother(sigma: float, size_in: int, size_out: int, *, like: Tensor) -> Tensor:
    """Return the matrix (size_out, size_in) that smooths a signal on [0, 1] and samples it on another grid.

    Rows are Gaussians of standard deviation ``sigma`` (a share of the signal), cut at the ends and normalised to 1.
    """
    out = torch.linspace(0, 1, size_out, device=like.device, dtype=torch.float64)
    grid = torch.linspace(0, 1, size_in, device=like.device, dtype=torch.float64)
    weight = torch.exp(-0.5 * ((out[:, None] - grid) / sigma).square())
    return (weight / weight.sum(1, keepdim=True)).to(like.dtype)


def stage_size(sigma: float, size: int) -> int:
    """Return the grid for signals of this smoothness: two points to a standard deviation.

    Beyond its Nyquist frequency a Gaussian passes exp(-2 pi^2) of an amplitude; fits on four points score the same.
    """
    return min(size, max(32, round(2 / sigma)))


def sample_rows(signal: Tensor, times: Tensor) -> Tensor:
    """Sample (N, G, C) signals on the shared grid at times (N, P): (N, P, C); linear, ends held."""
    batch, size, channels = signal.shape
    position = (times * (size - 1)).clamp(0, size - 1)
    low = position.floor().clamp(max=size - 2)
    weight = (position - low).unsqueeze(-1)
    index = (low.long() + torch.arange(batch, device=signal.device).unsqueeze(1) * size).flatten()
    flat = signal.reshape(batch * size, channels)
    below, above = flat.index_select(0, index), flat.index_select(0, index + 1)
    return torch.lerp(below.view(batch, -1, channels), above.view(batch, -1, channels), weight)
