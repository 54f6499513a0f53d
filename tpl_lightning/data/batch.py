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
    """(B,) int64, number in the set that the loader serves."""


def collate(samples: list[Sample]) -> Batch:
    """Pad samples to the longest and stack them."""
    lengths = torch.tensor([len(s.embeddings) for s in samples])
    longest, channels = int(lengths.max()), samples[0].embeddings.shape[1]
    embeddings = torch.zeros(len(samples), longest, channels)
    labels = torch.full((len(samples), longest), -1)
    for row, sample in enumerate(samples):
        embeddings[row, : len(sample.embeddings)] = torch.from_numpy(sample.embeddings)
        labels[row, : len(sample.labels)] = torch.from_numpy(sample.labels.astype(np.int64))
    action = torch.tensor([s.action for s in samples])
    return Batch(embeddings, lengths, labels, action, torch.tensor([s.video_index for s in samples]))
