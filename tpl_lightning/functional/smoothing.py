"""Signals on the grid that all videos share, times j / (G - 1): smoothing and sampling."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from tpl_lightning.functional.shapes import Float

_REACH = 6.0  # standard deviations beyond which a Gaussian is lost in single precision
_BLOCK = 16  # points made at once


def gaussian_smoother(sigma: float, size_in: int, size_out: int, *, like: Tensor) -> Tensor:
    """Return the matrix (size_out, size_in) that smooths a signal on [0, 1] and samples it on another grid.

    Rows are Gaussians of standard deviation ``sigma`` (a share of the signal), cut at the ends and normalised to 1.
    """
    out = torch.linspace(0, 1, size_out, device=like.device, dtype=torch.float64)
    grid = torch.linspace(0, 1, size_in, device=like.device, dtype=torch.float64)
    weight = torch.exp(-0.5 * ((out[:, None] - grid) / sigma).square())
    return (weight / weight.sum(1, keepdim=True)).to(like.dtype)


def smoothed(
    signal: Float[Tensor, "N G C"], sigma: float, size: int, *, slope: bool = False
) -> Float[Tensor, "N {size} C"]:
    """Return signals (N, G, C) smoothed by :func:`gaussian_smoother`, (N, size, C); the weights are nearly banded.

    Args:
        signal: (N, G, C).
        sigma: Standard deviation, as a share of the signal.
        size: Points of the result.
        slope: Return the derivative by time, in units of the signal per video, instead.

    Example:
        >>> step = torch.tensor([0.0, 0, 0, 1, 1, 1]).view(1, 6, 1)
        >>> smoothed(step, 0.2, 6).flatten()
        tensor([0.0065, 0.0622, 0.3018, 0.6982, 0.9378, 0.9935])
    """
    count, points, channels = signal.shape
    weight = gaussian_smoother(sigma, points, size, like=signal)
    if slope:
        weight = torch.gradient(weight, dim=0)[0] * (size - 1)
    step, reach = (points - 1) / (size - 1), _REACH * sigma * (points - 1) + slope
    result = signal.new_empty(count, size, channels)
    for start in range(0, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        near = slice(max(math.floor(start * step - reach), 0), math.ceil((stop - 1) * step + reach) + 1)
        # A product of many small matrices: written in place, or with more rows, it takes several times as long.
        result[:, start:stop] = torch.bmm(weight[start:stop, near].expand(count, -1, -1), signal[:, near])
    return result


def stage_size(sigma: float, size: int) -> int:
    """Return the grid for signals of this smoothness: two points to a standard deviation.

    Beyond its Nyquist frequency a Gaussian passes exp(-2 pi^2) of an amplitude; fits on four points score the same.

    Example:
        >>> stage_size(0.1, 160), stage_size(0.001, 160)
        (32, 160)
    """
    return min(size, max(32, round(2 / sigma)))


def time_slope(signal: Float[Tensor, "N G C"]) -> Float[Tensor, "N G C"]:
    """Return the derivative by time of (N, G, C), in units of the signal per video, by central differences.

    It is that of torch.gradient, in a third of the time.

    Example:
        >>> time_slope(torch.tensor([0.0, 1, 4, 9]).view(1, 4, 1)).flatten().tolist()
        [3.0, 6.0, 12.0, 15.0]
    """
    intervals = signal.shape[1] - 1
    slope = torch.empty_like(signal)
    torch.sub(signal[:, 2:], signal[:, :-2], out=slope[:, 1:-1]).mul_(0.5 * intervals)
    torch.sub(signal[:, 1], signal[:, 0], out=slope[:, 0]).mul_(intervals)
    torch.sub(signal[:, -1], signal[:, -2], out=slope[:, -1]).mul_(intervals)
    return slope


def sample_rows(signal: Float[Tensor, "N G C"], times: Float[Tensor, "N P"]) -> Float[Tensor, "N P C"]:
    """Sample (N, G, C) signals on the shared grid at times (N, P): (N, P, C); linear, ends held.

    Example:
        >>> sample_rows(torch.tensor([[[0.0], [2.0], [4.0]]]), torch.tensor([[0.25, 1.0, 3.0]])).flatten().tolist()
        [1.0, 4.0, 4.0]
    """
    return sample_each([signal], times)[0]


def sample_each(signals: Sequence[Float[Tensor, "N G _"]], times: Float[Tensor, "N P"]) -> list[Float[Tensor, "N P _"]]:
    """Sample several (N, G, C) at the same times (N, P), see :func:`sample_rows`: each (N, P, C).

    Example:
        >>> lines = torch.tensor([[[0.0], [2.0]]]), torch.tensor([[[1.0], [5.0]]])
        >>> [x.flatten().tolist() for x in sample_each(lines, torch.tensor([[0.5, 1.0]]))]
        [[1.0, 2.0], [3.0, 5.0]]
    """
    batch, size, channels = signals[0].shape
    position = (times * (size - 1)).clamp(0, size - 1)
    low = position.floor().clamp(max=size - 2)
    above = (position - low).flatten().to(signals[0].dtype)
    index = (low.long() + torch.arange(batch, device=times.device).unsqueeze(1) * size).flatten()
    # A weighted sum of two rows each, in one pass.
    rows, weights = torch.stack([index, index + 1], 1), torch.stack([1 - above, above], 1)
    return [
        F.embedding_bag(rows, x.reshape(-1, channels), per_sample_weights=weights, mode="sum").view(
            *times.shape, channels
        )
        for x in signals
    ]
