"""Sampling of signals at arbitrary times: U ∘ T."""

import torch
from torch import Tensor
from torch.nn import functional as F

from tpl_lightning.functional.shapes import Float, Int, Shaped


def _scaled_times(times: Tensor, lengths: Tensor) -> Tensor:
    """Return positions in frames, (B, P), within each signal."""
    last = (lengths - 1).unsqueeze(1)
    return (times * last).clamp(min=0).minimum(last)


def resample(
    signal: Float[Tensor, "B T C"], times: Float[Tensor, "B P"], lengths: Int[Tensor, "B"]
) -> Float[Tensor, "B P C"]:
    """Sample signals linearly at the given times: (U ∘ T)[p] = U(times[p]).

    Convention: frame u of signal i sits at u / (L_i - 1), so time 0 is its first and 1 its last frame; times
    outside [0, 1] read the frame at that end. Padding is never read, nor does a gradient reach it.

    Differentiable in ``signal`` and in ``times`` (the slope of the linear interpolation).

    Args:
        signal: (B, T, C), padded at the end.
        times: (B, P).
        lengths: (B,) frames of each signal, at least 1.

    Returns:
        (B, P, C), float32 or float64.

    Example:
        >>> signal = torch.tensor([[[0.0], [2.0], [4.0]]])
        >>> resample(signal, torch.tensor([[0.0, 0.25, 1.0]]), torch.tensor([3])).flatten().tolist()
        [0.0, 1.0, 4.0]
    """
    if signal.dim() != 3 or times.dim() != 2 or len(signal) != len(times):
        raise ValueError(
            f"Expected `signal` (B, T, C) and `times` (B, P), but got {tuple(signal.shape)} and {tuple(times.shape)}."
        )
    if signal.dtype in (torch.float16, torch.bfloat16):
        signal = signal.float()
    position = _scaled_times(times, lengths)
    low = position.detach().floor().long().minimum((lengths - 2).clamp(min=0).unsqueeze(1))
    high = (low + 1).minimum((lengths - 1).unsqueeze(1))
    weight = (position - low).unsqueeze(-1).to(signal.dtype)
    # Rows of the flattened batch: one index_select each is faster than a gather expanded over channels.
    batch, frames, channels = signal.shape
    offset = torch.arange(batch, device=signal.device).unsqueeze(1) * frames
    flat = signal.reshape(batch * frames, channels)
    below = flat.index_select(0, (offset + low).flatten()).view(*low.shape, channels)
    above = flat.index_select(0, (offset + high).flatten()).view(*low.shape, channels)
    return torch.lerp(below, above, weight)


def resample_to_size(
    signal: Float[Tensor, "*frames C"], lengths: Int[Tensor, "B"], size: int
) -> Float[Tensor, "B {size} C"]:
    """Sample signals at the times j / (size - 1) of their own; to fewer points, by averages around them.

    A point among many frames is the mean of the linear interpolant over the half steps on both sides (at the ends, on
    one): all frames count, and noise is averaged as it would be by a longer smoothing of all frames.

    Convention: frame u sits at u / (T - 1), as for :func:`resample`.

    Args:
        signal: (F, C) all frames, of one signal behind the other; or (B, T, C), padded at the end, which is not read.
        lengths: (B,) frames T of each, F in all.
        size: Points, at least 2.

    Returns:
        (B, size, C).

    Example:
        >>> signal = torch.tensor([[[0.0], [2.0], [4.0]]])
        >>> resample_to_size(signal, torch.tensor([3]), 5).flatten().tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    last = (lengths - 1).double().view(-1, 1, 1)
    step = last / (size - 1)
    point = step * torch.arange(size, device=signal.device).view(1, -1, 1)
    half = torch.where(last < size, 0.0, step / 2)  # to as many points as frames or more, by interpolation
    low, high = (point - half).clamp(min=0), (point + half).minimum(last)
    frame = low.floor() + torch.arange(int((2 * half).max()) + 3, device=signal.device)
    # Of the interpolant's integral from low to high, each frame has a share: that of the hat it stands for.
    share = (_hat_integral(high - frame) - _hat_integral(low - frame)) / (high - low)
    share = torch.where(half > 0, share, (1 - (point - frame).abs()).clamp(min=0)).to(signal.dtype)
    if signal.dim() == 3:
        first = signal.shape[1] * torch.arange(len(lengths), device=signal.device)
        signal = signal.flatten(0, 1)
    else:
        first = lengths.cumsum(0) - lengths
    rows = frame.minimum(last).long() + first.view(-1, 1, 1)
    sampled = F.embedding_bag(rows.flatten(0, 1), signal, per_sample_weights=share.flatten(0, 1), mode="sum")
    return sampled.view(len(lengths), size, -1)


def _hat_integral(time: Tensor) -> Tensor:
    """Return the integral of max(1 - |t|, 0) up to a time."""
    time = time.clamp(-1, 1)
    return 0.5 + time - 0.5 * time * time.abs()


def resample_nearest(
    values: Shaped[Tensor, "B T"], times: Float[Tensor, "B P"], lengths: Int[Tensor, "B"]
) -> Shaped[Tensor, "B P"]:
    """Read the nearest frame at the given times (labels, images).

    Convention: as :func:`resample`; a time halfway between two frames reads the even one.

    Args:
        values: (B, T), padded at the end.
        times: (B, P).
        lengths: (B,) frames of each signal.

    Returns:
        (B, P), the type of ``values``.

    Example:
        >>> resample_nearest(torch.tensor([[7, 8, 9]]), torch.tensor([[0.1, 0.6, 1.0]]), torch.tensor([3])).tolist()
        [[7, 8, 9]]
    """
    return values.gather(1, _scaled_times(times, lengths).round().long())
