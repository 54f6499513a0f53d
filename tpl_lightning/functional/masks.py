"""Which entries of a padded batch are data."""

import torch
from torch import Tensor

__all__ = ["frame_times", "length_mask", "within_ends"]

_ROUNDING = 1e-6  # float32 warps may overshoot an end by some ulp; a missing frame does by more


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """Return (B, size) bool, true at the first ``lengths[i]`` places of row i."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def frame_times(lengths: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the times u / (L_i - 1) of the frames: the points of a video's, or a prototype's, own timeline.

    Convention: frame 0 sits at 0 and the last at 1, where the padding sits too; a single frame sits at 0.

    Args:
        lengths: (B,) frames of each video, at least 1.
        size: Places of a row, padding included.
        dtype: Of the result.

    Returns:
        (B, size) in [0, 1], never decreasing.
    """
    frame = torch.arange(size, device=lengths.device, dtype=dtype)
    return (frame / (lengths.unsqueeze(1) - 1).clamp(min=1).to(dtype)).clamp(max=1.0)


def within_ends(times: Tensor) -> Tensor:
    """Return which times lie in [0, 1], up to rounding: elsewhere a video has no frame, or a prototype no point."""
    return (times >= -_ROUNDING) & (times <= 1 + _ROUNDING)
