"""Prototypes: means over the aligned videos of an action."""

import torch
import torch.distributed as dist
from torch import Tensor

from tpl_lightning.functional.distributed import all_reduce_sum, is_distributed

__all__ = ["PrototypeAccumulator", "group_mean", "leave_one_out_mean"]


def _group_sum(values: Tensor, action: Tensor, mask: Tensor, num_actions: int, longest: int) -> Tensor:
    """Return (A, longest, C + 1): sums over the videos of an action, and how many there were."""
    if values.shape[1] > longest:
        raise ValueError(f"Expected `values` of at most {longest} points (axis 1), but got {tuple(values.shape)}.")
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()  # bfloat16 cannot count beyond 256
    values = torch.cat([values, torch.ones_like(values[..., :1])], dim=-1).masked_fill(~mask.unsqueeze(-1), 0.0)
    values = torch.nn.functional.pad(values, (0, 0, 0, longest - values.shape[1]))
    total = torch.zeros(num_actions, *values.shape[1:], dtype=values.dtype, device=values.device)
    return total.index_add(0, action, values)


def group_mean(values: Tensor, action: Tensor, mask: Tensor, *, num_actions: int, longest: int | None = None) -> Tensor:
    """Return the mean over the videos of each action, of the batch on all ranks: Z^ of [3].

    Args:
        values: (B, P, C) aligned sequences.
        action: (B,) number of each video's action.
        mask: (B, P) which points are part of the prototype timeline of the video's action.
        num_actions: A.
        longest: Points of the result; under DDP it must agree over the ranks. None: P.

    Returns:
        (A, longest, C), float32 or float64, 0 where no video has a point; gradients reach the videos of every rank.

    Raises:
        ValueError: If ``values`` has more than ``longest`` points.
    """
    total = all_reduce_sum(_group_sum(values, action, mask, num_actions, longest or values.shape[1]))
    return total[..., :-1] / total[..., -1:].detach().clamp(min=1)


def leave_one_out_mean(values: Tensor, mean: Tensor, action: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the *other* videos of each video's action, (n m - x) / (n - 1); a lone video is its own.

    Args:
        values: (B, P, C) aligned sequences of this rank.
        mean: (A, longest, C) from :func:`group_mean` of the batch on all ranks.
        action: (B,).
        mask: (B, P), as for :func:`group_mean`.

    Returns:
        (B, longest, C), 0 beyond the prototypes.
    """
    count = all_reduce_sum(torch.bincount(action, minlength=len(mean)).to(mean.dtype))[action].view(-1, 1, 1)
    padded = torch.nn.functional.pad(values * mask.unsqueeze(-1), (0, 0, 0, mean.shape[1] - values.shape[1]))
    own = mean.index_select(0, action)
    return own + (own - padded.to(own.dtype)) * ((count > 1) / (count - 1).clamp(min=1))


class PrototypeAccumulator:
    """Mean over aligned videos that come batch by batch, on all ranks: U^ = mean_i U_i ∘ T_i [7].

    Args:
        prototypes: (A, longest, C), tells the shape and the device of the result.
    """

    def __init__(self, prototypes: Tensor) -> None:
        """Start empty."""
        count, self.longest, channels = prototypes.shape
        self._total = prototypes.new_zeros(count, self.longest, channels + 1, dtype=torch.float64)

    def add(self, values: Tensor, action: Tensor, mask: Tensor) -> None:
        """Add aligned videos (B, P, C) with their action (B,) and the mask (B, P) of their points."""
        self._total += _group_sum(values.double(), action, mask, len(self._total), self.longest)

    def finish(self) -> Tensor:
        """Return the means over all ranks, (A, longest, C) float32, 0 where no video has a point."""
        total = self._total.clone()
        if is_distributed():
            dist.all_reduce(total)
        return (total[..., :-1] / total[..., -1:].clamp(min=1)).float()
