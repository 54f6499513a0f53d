"""Sampling of signals at arbitrary times: U ∘ T."""

import torch
from torch import Tensor

__all__ = ["resample", "resample_nearest"]


def _scaled_times(times: Tensor, lengths: Tensor) -> Tensor:
    """Return positions in frames, (B, P), within each signal."""
    last = (lengths - 1).unsqueeze(1)
    return (times * last).clamp(min=0).minimum(last)


def resample(signal: Tensor, times: Tensor, lengths: Tensor) -> Tensor:
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


def resample_nearest(values: Tensor, times: Tensor, lengths: Tensor) -> Tensor:
    """Read the nearest frame at the given times (labels, images).

    Convention: as :func:`resample`; a time halfway between two frames reads the even one.

    Args:
        values: (B, T), padded at the end.
        times: (B, P).
        lengths: (B,) frames of each signal.

    Returns:
        (B, P), the type of ``values``.
    """
    return values.gather(1, _scaled_times(times, lengths).round().long())
