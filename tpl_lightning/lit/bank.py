"""A bank of the training videos as they were last aligned: what the prototypes of a training step are made of.

A batch may hold a video or two of an action, whose mean is no prototype. The bank keeps the last aligned features of
each training video, Z~_i on the shared grid, and the warp that aligned them. Both are of earlier steps and have no
gradient. Where a batch holds all videos, the prototypes are those of the batch.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional import all_reduce_sum, gather_rows

__all__ = ["WarpBank"]


@dataclass
class WarpBank:
    """N training videos of A actions, on a grid of G points. Convention: T maps prototype time to video time.

    Attributes:
        aligned: (N, G, F) features at T_i; of videos that have none yet, anything.
        times: (N, G) T_i, the last warps.
        action: (N,).
        slot: (V,) the row of each training video, -1 for those that the bank has no room for.
        num_actions: A.
    """

    aligned: Tensor
    times: Tensor
    action: Tensor
    slot: Tensor
    num_actions: int

    @classmethod
    def of(
        cls,
        action: Tensor,
        *,
        most: int,
        num_actions: int,
        grid: int,
        features: int,
        dtype: torch.dtype = torch.float32,
    ) -> "WarpBank":
        """Return a bank of at most so many videos, evenly spread over those of each action, at linear rescaling.

        Args:
            action: (V,) of the training videos.
            most: Room for so many; two of each action in any case.
            num_actions: A.
            grid: G.
            features: F.
            dtype: Of the features.
        """
        chosen = torch.zeros(len(action), dtype=torch.bool, device=action.device)
        for label in range(num_actions):
            rows = (action == label).nonzero().squeeze(1)
            count = min(max(most * len(rows) // max(len(action), 1), 2), len(rows))
            if count:
                chosen[rows[torch.linspace(0, len(rows) - 1, count, device=action.device).round().long()]] = True
        slot = torch.where(chosen, chosen.cumsum(0) - 1, -1)
        size = int(chosen.sum())
        return cls(
            aligned=torch.zeros(size, grid, features, dtype=dtype, device=action.device),
            times=torch.linspace(0, 1, grid, dtype=dtype, device=action.device).repeat(size, 1),
            action=action[chosen],
            slot=slot,
            num_actions=num_actions,
        )

    def rows(self, video_index: Tensor) -> Tensor:
        """Return the rows of training videos (B,), -1 for those that have none, and for stand-ins."""
        return torch.where(video_index >= 0, self.slot[video_index.clamp(min=0)], -1)

    def last_times(self, video_index: Tensor) -> Tensor:
        """Return the last warps T_i (B, G); the identity for videos without a row."""
        rows = self.rows(video_index)
        grid = torch.linspace(0, 1, self.times.shape[1], dtype=self.times.dtype, device=self.times.device)
        return torch.where((rows >= 0).unsqueeze(1), self.times[rows.clamp(min=0)], grid)

    @torch.no_grad()
    def put(self, video_index: Tensor, aligned: Tensor, times: Tensor) -> None:
        """Take what the videos (B,) of this batch, on all ranks, were aligned to: (B, G, F) and (B, G)."""
        rows = gather_rows(self.rows(video_index))
        aligned, times = gather_rows(aligned.to(self.aligned.dtype)), gather_rows(times.to(self.times.dtype))
        known = rows >= 0
        self.aligned[rows[known]], self.times[rows[known]] = aligned[known], times[known]

    def totals(self) -> tuple[Tensor, Tensor]:
        """Return the sum over the videos of each action, (A, G, F), and how many there are, (A,)."""
        total = self.aligned.new_zeros(self.num_actions, *self.aligned.shape[1:]).index_add(
            0, self.action, self.aligned
        )
        return total, torch.bincount(self.action, minlength=self.num_actions)

    def prototypes(self) -> Tensor:
        """Return the mean over the videos of each action, (A, G, F)."""
        total, count = self.totals()
        return total / count.clamp(min=1).view(-1, 1, 1)

    def barycenters(self, video_index: Tensor, action: Tensor, *, leave_one_out: bool) -> Tensor:
        """Return what videos (B,) are compared with, (B, G, F): the mean of their action, or of the others in it."""
        total, count = self.totals()
        rows = self.rows(video_index)
        own = self.aligned[rows.clamp(min=0)] * (rows >= 0).view(-1, 1, 1)
        return _barycenters(total, count, own, rows >= 0, action, leave_one_out=leave_one_out)

    def live_barycenters(self, video_index: Tensor, action: Tensor, aligned: Tensor, *, leave_one_out: bool) -> Tensor:
        """Return the same with this step's features (B, G, F) in place of the last ones; gradients reach all ranks."""
        total, count = self.totals()
        rows = self.rows(video_index)
        known = rows >= 0
        own = aligned * known.view(-1, 1, 1)
        change = own - self.aligned[rows.clamp(min=0)] * known.view(-1, 1, 1)
        total = total + all_reduce_sum(torch.zeros_like(total).index_add(0, action, change))
        return _barycenters(total, count, own, known, action, leave_one_out=leave_one_out)

    def state(self) -> dict[str, Any]:
        """Return tensors and primitives that a checkpoint of a training can hold."""
        return {key: value.cpu() if isinstance(value, Tensor) else value for key, value in vars(self).items()}

    @classmethod
    def from_state(cls, state: dict[str, Any], *, device: torch.device | str = "cpu") -> "WarpBank":
        """Rebuild from :meth:`state`, on a device."""
        moved: dict[str, Any] = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in state.items()}
        return cls(**moved)


def _barycenters(
    total: Tensor, count: Tensor, own: Tensor, known: Tensor, action: Tensor, *, leave_one_out: bool
) -> Tensor:
    """Return (sum - own) / (n - 1) for videos that are part of the sum of their action, else sum / n."""
    number = count[action].view(-1, 1, 1)
    if not leave_one_out:
        return total[action] / number.clamp(min=1)
    left_out = known.view(-1, 1, 1) & (number > 1)  # a video that is alone is compared with itself
    return (total[action] - own * left_out) / (number - left_out.long()).clamp(min=1)
