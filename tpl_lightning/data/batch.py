"""A padded batch of videos of unequal lengths."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Batch", "Sample", "collate"]


class Sample(NamedTuple):
    """One video."""

    embeddings: np.ndarray
    """(L, C) float32."""
    labels: np.ndarray
    """(L,) phase of each frame, -1 unlabelled."""
    action: int
    video_index: int


class Batch(NamedTuple):
    """B videos, padded at the end to the longest, T frames."""

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


def collate(samples: list[Sample]) -> Batch:
    """Pad samples to the longest and stack them."""
    lengths = [len(s.embeddings) for s in samples]
    # In NumPy: many small copies, for which torch takes several times as long.
    embeddings = np.zeros((len(samples), max(lengths), samples[0].embeddings.shape[1]), dtype=np.float32)
    labels = np.full((len(samples), max(lengths)), -1, dtype=np.int64)
    for row, (sample, length) in enumerate(zip(samples, lengths, strict=True)):
        embeddings[row, :length] = sample.embeddings
        labels[row, :length] = sample.labels
    return Batch(
        embeddings=torch.from_numpy(embeddings),
        lengths=torch.tensor(lengths),
        labels=torch.from_numpy(labels),
        action=torch.tensor([s.action for s in samples]),
        video_index=torch.tensor([s.video_index for s in samples]),
    )
