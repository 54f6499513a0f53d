"""What all networks that predict warps share: an aligner that looks at a signal, and the warps of what it says."""

import torch
from torch import Tensor, nn

from tpl_lightning.functional import frame_times, resample
from tpl_lightning.functional.warps import num_parameters, warp_levels, warp_time
from tpl_lightning.nn.encoders import PerAction


def full_precision(x: Tensor) -> Tensor:
    """Return half precision as float32, for half precision cannot tell frames apart; the rest as it is."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


class WarpNetwork(nn.Module):
    """Base: one warp for each recurrence; derived classes build ``aligner``.

    Args:
        num_cells: Cells of the CPAB velocity field; a list gives those of each recurrence (coarse to fine).
        recurrences: How often the aligner looks at what it has warped and warps on.
        backend: What computes the warps: ``torch``, or ``difw``.

    Example:
        >>> WarpNetwork(16, recurrences=2, backend="torch").levels
        (16, 16)
    """

    aligner: nn.Module

    def __init__(self, num_cells: int | list[int], recurrences: int, backend: str) -> None:
        """Keep the family of warps."""
        super().__init__()
        self.levels, self.backend = warp_levels(num_cells, recurrences), backend
        self.num_parameters = max(num_parameters(cells) for cells in self.levels)

    def predict_theta(
        self,
        signal: Tensor,
        lengths: Tensor,
        prototype_length: Tensor,
        *,
        points: int | None = None,
        action: Tensor | None = None,
    ) -> Tensor:
        """Return theta (B, R, d): the aligner looks at the signal on the prototype timeline, along the warps so far.

        Args:
            signal: (B, T, D).
            lengths: (B,) frames.
            prototype_length: (B,) points of each video's prototype.
            points: P, the longest of these; None: looked up, which waits for the device.
            action: (B,) where each action has an aligner of its own (``nn.encoders.PerAction``).
        """
        own = {"action": action} if isinstance(self.aligner, PerAction) else {}
        grid = frame_times(prototype_length, points or int(prototype_length.max()), signal.dtype)
        theta = signal.new_zeros(len(signal), 0, self.num_parameters)
        for _ in self.levels:
            times = self.warp(theta, grid)
            step = self.aligner(resample(signal, times, lengths), prototype_length, **own)
            theta = torch.cat([theta, full_precision(step).unsqueeze(1)], 1)
        return theta

    def time_maps(
        self, theta: Tensor, lengths: Tensor, prototype_length: Tensor, *, frames: int, points: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return both directions of the warps.

        Convention: T^theta maps prototype time to video time, both in [0, 1]; ends are fixed.

        Args:
            theta: (B, R, d).
            lengths: (B,) frames.
            prototype_length: (B,) points of each video's prototype; P of the longest.
            frames: T, places of a row of frames.
            points: P; None: looked up.

        Returns:
            T^theta (B, P) at the prototype points, 1 beyond the prototype's end; T^-theta (B, T) at the frames, 1
            where padded.
        """
        grid = frame_times(prototype_length, points or int(prototype_length.max()), theta.dtype)
        own = frame_times(lengths, frames, theta.dtype)
        return self.warp(theta, grid), self.warp(theta, own, inverse=True)

    def warp(self, theta: Tensor, points: Tensor, *, inverse: bool = False) -> Tensor:
        """Return T^theta, or T^-theta, of theta (B, R, d) at times (B, N), or at times (N,) that all videos share."""
        levels = self.levels[: theta.shape[1]]
        if not levels:  # nothing has been predicted yet
            return points
        return warp_time(theta, points, inverse=inverse, num_cells=levels, backend=self.backend)
