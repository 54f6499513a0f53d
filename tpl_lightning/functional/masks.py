"""Which entries of a padded batch are data."""

import torch
from torch import Tensor

__all__ = ["frame_times", "length_mask"]


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """Return (B, size) bool, true at the first ``lengths[i]`` places of row i."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def frame_times(lengths: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the times u / (L_i - 1) of the frames, (B, size); 1 from the last frame on, padding included."""
    frame = torch.arange(size, device=lengths.device, dtype=dtype)
    return (frame / (lengths.unsqueeze(1) - 1).to(dtype)).clamp(max=1.0)
