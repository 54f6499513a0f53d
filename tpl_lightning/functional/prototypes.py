"""Prototypes: means over the aligned videos of an action."""

import torch
import torch.distributed as dist
from torch import Tensor

from tpl_lightning.functional.distributed import all_reduce_sum, is_distributed
from tpl_lightning.functional.shapes import Bool, Float, Int

LEAST_WEIGHT = 1e-6
"""Of all videos at a point from which on it has a mean."""


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


def group_mean(
    values: Float[Tensor, "B P C"],
    action: Int[Tensor, "B"],
    mask: Bool[Tensor, "B P"],
    *,
    num_actions: int,
    longest: int | None = None,
) -> Float[Tensor, "{num_actions} longest C"]:
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

    Example:
        >>> values = torch.tensor([1.0, 3.0, 8.0]).view(3, 1, 1)
        >>> action, mask = torch.tensor([0, 0, 1]), torch.ones(3, 1) > 0
        >>> group_mean(values, action, mask, num_actions=2).flatten().tolist()
        [2.0, 8.0]
    """
    total = all_reduce_sum(_group_sum(values, action, mask, num_actions, longest or values.shape[1]))
    return total[..., :-1] / total[..., -1:].detach().clamp(min=1)


def mean_of_others(
    mean: Float[Tensor, "B P C"],
    own: Float[Tensor, "B P C"],
    count: Tensor,
    part: Tensor | float = 1.0,
) -> Float[Tensor, "B P C"]:
    """Return the mean without one of its videos, (n m - x) / (n - 1); a lone video is its own.

    Args:
        mean: (B, P, C) m of each video's action.
        own: (B, P, C) x; anything finite of a video that has no part in the mean.
        count: n, of the type of ``mean``, broadcast against it.
        part: 1 where a video has a part in the mean, 0 where it has none.

    Example:
        >>> mean, own = torch.full((1, 1, 1), 2.0), torch.ones(1, 1, 1)  # of 1 and 3
        >>> mean_of_others(mean, own, torch.tensor(2.0)).item()
        3.0
    """
    others = count - part
    # (n m - x) / (n - 1) = m + (m - x) / (n - 1)
    return torch.addcmul(mean, mean - own, part * (others > LEAST_WEIGHT) / others.clamp(min=LEAST_WEIGHT))


def leave_one_out_mean(
    values: Float[Tensor, "B P C"],
    mean: Float[Tensor, "A longest C"],
    action: Int[Tensor, "B"],
    mask: Bool[Tensor, "B P"],
) -> Float[Tensor, "B longest C"]:
    """Return the mean over the *other* videos of each video's action, see :func:`mean_of_others`.

    Args:
        values: (B, P, C) aligned sequences of this rank.
        mean: (A, longest, C) from :func:`group_mean` of the batch on all ranks.
        action: (B,).
        mask: (B, P), as for :func:`group_mean`.

    Returns:
        (B, longest, C), 0 beyond the prototypes.

    Example:
        >>> values, action, mask = torch.tensor([1.0, 3.0]).view(2, 1, 1), torch.tensor([0, 0]), torch.ones(2, 1) > 0
        >>> leave_one_out_mean(values, values.mean(0, keepdim=True), action, mask).flatten().tolist()
        [3.0, 1.0]
    """
    count = all_reduce_sum(torch.bincount(action, minlength=len(mean)).to(mean.dtype))[action].view(-1, 1, 1)
    padded = torch.nn.functional.pad(values * mask.unsqueeze(-1), (0, 0, 0, mean.shape[1] - values.shape[1]))
    return mean_of_others(mean.index_select(0, action), padded.to(mean.dtype), count)


class PrototypeAccumulator:
    """Mean over aligned videos that come batch by batch, on all ranks: U^ = mean_i U_i ∘ T_i [7].

    Args:
        prototypes: (A, longest, C), tells the shape and the device of the result.

    Example:
        >>> mean = PrototypeAccumulator(torch.zeros(1, 2, 1))
        >>> for value in (1.0, 3.0):
        ...     mean.add(torch.full((1, 2, 1), value), torch.tensor([0]), torch.ones(1, 2) > 0)
        >>> mean.finish().flatten().tolist()
        [2.0, 2.0]
    """

    def __init__(self, prototypes: Tensor) -> None:
        """Start empty."""
        count, self.longest, channels = prototypes.shape
        self._total = prototypes.new_zeros(count, self.longest, channels + 1, dtype=torch.float64)

    def add(self, values: Float[Tensor, "B P C"], action: Int[Tensor, "B"], mask: Bool[Tensor, "B P"]) -> None:
        """Add aligned videos (B, P, C) with their action (B,) and the mask (B, P) of their points."""
        self._total += _group_sum(values.double(), action, mask, len(self._total), self.longest)

    def finish(self) -> Float[Tensor, "A longest C"]:
        """Return the means over all ranks, (A, longest, C) float32, 0 where no video has a point."""
        total = self._total.clone()
        if is_distributed():
            dist.all_reduce(total)
        return (total[..., :-1] / total[..., -1:].clamp(min=1)).float()
