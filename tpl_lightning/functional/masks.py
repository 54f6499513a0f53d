"""Which entries of a padded batch are data."""

import torch
from torch import Tensor

from tpl_lightning.functional.shapes import Bool, Float, Int

_ROUNDING = 1e-6  # float32 warps may overshoot an end by some ulp; a missing frame does by more


def length_mask(lengths: Int[Tensor, "B"], size: int) -> Bool[Tensor, "B {size}"]:
    """Return (B, size) bool, true at the first ``lengths[i]`` places of row i.

    Example:
        >>> length_mask(torch.tensor([1, 3]), 3).tolist()
        [[True, False, False], [True, True, True]]
    """
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def frame_times(lengths: Int[Tensor, "B"], size: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, "B {size}"]:
    """Return the times u / (L_i - 1) of the frames: the points of a video's, or a prototype's, own timeline.

    Convention: frame 0 sits at 0 and the last at 1, where the padding sits too; a single frame sits at 0.

    Args:
        lengths: (B,) frames of each video, at least 1.
        size: Places of a row, padding included.
        dtype: Of the result.

    Returns:
        (B, size) in [0, 1], never decreasing.

    Example:
        >>> frame_times(torch.tensor([3, 5]), 5).tolist()
        [[0.0, 0.5, 1.0, 1.0, 1.0], [0.0, 0.25, 0.5, 0.75, 1.0]]
    """
    frame = torch.arange(size, device=lengths.device, dtype=dtype)
    return (frame / (lengths.unsqueeze(1) - 1).clamp(min=1).to(dtype)).clamp(max=1.0)


def within_ends(times: Tensor) -> Tensor:
    """Return which times lie in [0, 1], up to rounding: elsewhere a video has no frame, or a prototype no point.

    Example:
        >>> within_ends(torch.tensor([-0.1, 0.0, 1.0, 1.2])).tolist()
        [False, True, True, False]
    """
    return (times >= -_ROUNDING) & (times <= 1 + _ROUNDING)
