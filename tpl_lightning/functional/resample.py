"""Sampling of signals at arbitrary times: U ∘ T."""

import torch
from torch import Tensor

__all__ = ["resample", "resample_nearest", "resample_to_size"]


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


def resample_to_size(signal: Tensor, size: int) -> Tensor:
    """Sample one signal at the times j / (size - 1) of its own; to fewer points, by averages around them.

    A point among many frames is the mean of the linear interpolant over the half steps on both sides (at the ends, on
    one): all frames count, and noise is averaged as it would be by a longer smoothing of all frames.

    Convention: frame u sits at u / (T - 1), as for :func:`resample`.

    Args:
        signal: (T, C).
        size: Points, at least 2.

    Returns:
        (size, C).
    """
    frames = len(signal)
    if frames <= size:
        times = torch.linspace(0, 1, size, dtype=signal.dtype, device=signal.device)
        return resample(signal[None], times[None], torch.tensor([frames], device=signal.device))[0]
    step = (frames - 1) / (size - 1)
    borders = (torch.arange(size + 1, dtype=signal.dtype, device=signal.device) - 0.5).mul_(step).clamp_(0, frames - 1)
    low = borders.floor().clamp_(max=frames - 2)
    part, low = (borders - low).unsqueeze(1), low.long()
    # The integral up to a border: whole trapezia, and a share of one.
    whole = torch.nn.functional.pad((signal[1:] + signal[:-1]).div_(2).cumsum(0), (0, 0, 1, 0))
    integral = whole[low] + torch.lerp(signal[low], signal[low + 1], part / 2) * part
    return integral.diff(dim=0) / borders.diff().unsqueeze(1)


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
