"""Batches of videos of unequal lengths: packed as they are read and travel, padded as they are used."""

from typing import NamedTuple

import torch
from torch import Tensor

COMPILED_STEP = 64
"""Frames and prototype points come in multiples of it where the network is compiled: for each size, it is anew."""


class PackedBatch(NamedTuple):
    """B videos behind one another, without padding: F frames in all. What loaders yield and devices are sent.

    Example:
        >>> frames, action = torch.tensor([[1.0], [2.0], [3.0], [0.0]]), torch.tensor([0, 0])
        >>> packed = PackedBatch(frames, torch.zeros(4), torch.tensor([1, 2]), action, action, size=2)
        >>> packed.places().tolist()  # row 3 is padding
        [[0, 3], [1, 2]]
    """

    frames: Tensor
    """(F + 1, C) float16 or float32, as the cache holds them, or ready; the last row is 0, which padding is made of."""
    labels: Tensor
    """(F + 1,) int16, -1 where unlabelled, and at the end."""
    lengths: Tensor
    """(B,) int64."""
    action: Tensor
    """See :class:`Batch`, as for the others."""
    video_index: Tensor
    size: int
    """Frames T to which the videos are padded: told on the host, so that no step has to wait for a GPU to say it."""
    points: int | None = None
    is_ready: bool = False
    """Whether the frames are preprocessed already."""

    def places(self) -> Tensor:
        """Return the row of ``frames`` that frame t of each video is, (B, T); the last where it is padded."""
        time = torch.arange(self.size, device=self.lengths.device)
        end = self.lengths.cumsum(0).unsqueeze(1)
        place = end - self.lengths.unsqueeze(1) + time
        return torch.where(place < end, place, len(self.frames) - 1)


class Batch(NamedTuple):
    """B videos, padded at the end to the longest, T frames.

    Example:
        >>> Batch._fields
        ('embeddings', 'lengths', 'labels', 'action', 'video_index', 'points')
    """

    embeddings: Tensor
    """(B, T, C) float32, 0 where padded."""
    lengths: Tensor
    """(B,) int64; padding is told from data by these alone."""
    labels: Tensor
    """(B, T) int64, -1 where unlabelled or padded."""
    action: Tensor
    """(B,) int64, number in the sorted list of actions."""
    video_index: Tensor
    """(B,) int64, number in the set that the loader serves; -1 for a stand-in (see ``OrderedShardSampler``)."""
    points: int | None = None
    """P, length of the longest prototype among the actions, told on the host like ``PackedBatch.size``."""

    def some(self, wanted: Tensor) -> "Batch":
        """Return the videos of a mask (B,); where it has none the first one, as networks take no empty batch."""
        rows = wanted.nonzero().squeeze(1) if bool(wanted.any()) else slice(0, 1)
        return self._replace(
            embeddings=self.embeddings[rows],
            lengths=self.lengths[rows],
            labels=self.labels[rows],
            action=self.action[rows],
            video_index=self.video_index[rows],
        )
