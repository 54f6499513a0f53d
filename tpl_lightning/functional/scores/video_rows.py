"""Frames of many videos, as the scores on embeddings read them."""

from typing import NamedTuple

import torch
from torch import Tensor

from tpl_lightning.functional import length_mask


class VideoRows(NamedTuple):
    """Videos one after the other, in ascending order of their numbers, each once.

    Example:
        >>> lengths, action = torch.tensor([3, 2]), torch.tensor([0, 0])
        >>> rows = VideoRows(torch.rand(5, 4), torch.tensor([0, 1, 1, 0, 1]), lengths, action)
        >>> rows.video.tolist(), tuple(rows.padded().shape)
        ([0, 0, 0, 1, 1], (2, 3, 4))
    """

    frames: Tensor
    """(F, C) float32."""
    labels: Tensor
    """(F,) int64, -1 unlabelled."""
    lengths: Tensor
    """(N,) frames of each video."""
    action: Tensor
    """(N,)."""

    @property
    def video(self) -> Tensor:
        """(F,) position in 0..N-1 of the video of each frame."""
        return torch.repeat_interleave(torch.arange(len(self.lengths), device=self.lengths.device), self.lengths)

    def of_action(self, action: int) -> "VideoRows":
        """Return the videos of one action."""
        keep = self.action == action
        frames = keep[self.video]
        return VideoRows(self.frames[frames], self.labels[frames], self.lengths[keep], self.action[keep])

    def padded(self) -> Tensor:
        """Return the frames as (N, T, C), 0 where padded."""
        mask = length_mask(self.lengths, int(self.lengths.max()))
        padded = self.frames.new_zeros(*mask.shape, self.frames.shape[1])
        padded[mask] = self.frames
        return padded
