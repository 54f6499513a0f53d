"""A bank of the training videos as they were last aligned: what the prototypes of a training step are made of.

A batch may hold a video or two of an action, whose mean is no prototype. The bank keeps the last aligned features of
each training video, Z~_i on the shared grid, and the warp that aligned them. Both are of earlier steps and have no
gradient. Where a batch holds all videos, the prototypes are those of the batch.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional import LEAST_WEIGHT, all_reduce_sum, gather_rows, mean_of_others
from tpl_lightning.functional.warps import coverage
from tpl_lightning.groupwise import enough_of_each


@dataclass
class WarpBank:
    """N training videos of A actions, on a grid of G points. Convention: T maps prototype time to video time.

    Attributes:
        aligned: (N, G, F) features at T_i; of videos that have none yet, anything.
        times: (N, G) T_i, the last warps.
        action: (N,).
        slot: (V,) the row of each training video, -1 for those that the bank has no room for.
        num_actions: A.
        is_open: Whether ends are open: T_i may be below 0 or above 1, where a video has no frame.
    """

    aligned: Tensor
    times: Tensor
    action: Tensor
    slot: Tensor
    num_actions: int
    is_open: bool = False

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
        is_open: bool = False,
    ) -> "WarpBank":
        """Return a bank of enough videos, evenly spread over those of each action, at linear rescaling.

        Args:
            action: (V,) of the training videos.
            most: Room for so many, see :func:`~tpl_lightning.groupwise.fit.enough_of_each`.
            num_actions: A.
            grid: G.
            features: F.
            dtype: Of the features.
            is_open: Whether ends are open.
        """
        chosen = torch.zeros(len(action), dtype=torch.bool, device=action.device)
        for label in range(num_actions):
            rows = (action == label).nonzero().squeeze(1)
            count = min(enough_of_each(num_actions, most), len(rows))
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
            is_open=is_open,
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

    def prototypes(self) -> Tensor:
        """Return the mean over the videos of each action that are there, (A, G, F)."""
        cover = self.cover()
        aligned = self.aligned if cover is None else self.aligned * cover
        total = self.aligned.new_zeros(self.num_actions, *self.aligned.shape[1:])
        return total.index_add_(0, self.action, aligned).div_(self._count().clamp(min=LEAST_WEIGHT))

    def cover(self, video_index: Tensor | None = None) -> Tensor | None:
        """Return the weight of all videos, or of some (B,), at each point, (N, G, 1); None: ends are fixed."""
        if not self.is_open:
            return None
        return coverage(self.times if video_index is None else self.last_times(video_index))

    def last(self, video_index: Tensor) -> Tensor:
        """Return what videos (B,) were last aligned to, (B, G, F); of those without a row, anything."""
        return self.aligned[self.rows(video_index).clamp(min=0)]

    def barycenters(
        self, mean: Tensor, own: Tensor, video_index: Tensor, action: Tensor, *, leave_one_out: bool
    ) -> Tensor:
        """Return what videos (B,) are compared with, (B, G, K): the mean of their action, or of the others in it.

        Args:
            mean: (A, G, K) :meth:`prototypes`, in any axes.
            own: (B, G, K) what the videos have in them.
            video_index: (B,).
            action: (B,).
            leave_one_out: Whether videos are left out of what they are compared with.
        """
        if not leave_one_out:
            return mean[action]
        part, cover = (self.rows(video_index) >= 0).to(mean).view(-1, 1, 1), self.cover(video_index)
        part = part if cover is None else part * cover
        return mean_of_others(mean[action], own, self._count()[action], part)

    def moved(self, mean: Tensor, change: Tensor, video_index: Tensor, action: Tensor) -> Tensor:
        """Return the means (A, G, K) after videos (B,) on all ranks have changed, (B, G, K); gradients reach all."""
        part, cover = (self.rows(video_index) >= 0).view(-1, 1, 1), self.cover(video_index)
        change = change * part if cover is None else change * (part * cover)
        total = all_reduce_sum(torch.zeros_like(mean).index_add(0, action, change))
        return mean + total / self._count().clamp(min=LEAST_WEIGHT)

    def _count(self) -> Tensor:
        """Return how many videos of each action there are, (A, 1, 1), or at each point, (A, G, 1)."""
        cover = self.cover()
        if cover is not None:
            return cover.new_zeros(self.num_actions, *cover.shape[1:]).index_add_(0, self.action, cover)
        return torch.bincount(self.action, minlength=self.num_actions).to(self.aligned).view(-1, 1, 1)

    def state(self) -> dict[str, Any]:
        """Return tensors and primitives that a checkpoint of a training can hold."""
        return {key: value.cpu() if isinstance(value, Tensor) else value for key, value in vars(self).items()}

    @classmethod
    def from_state(cls, state: dict[str, Any], *, device: torch.device | str = "cpu") -> "WarpBank":
        """Rebuild from :meth:`state`, on a device."""
        moved: dict[str, Any] = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in state.items()}
        return cls(**moved)
