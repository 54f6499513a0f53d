"""A padded batch of videos of unequal lengths."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["COMPILED_STEP", "Batch"]

COMPILED_STEP = 64
"""Frames and prototype points come in multiples of it where the network is compiled: for each size, it is anew."""


class Batch(NamedTuple):
    """B videos, padded at the end to the longest, T frames."""

    embeddings: Tensor
    """(B, T, C), 0 where padded: float32; from a loader float16 or float32, as the cache holds them."""
    lengths: Tensor
    """(B,) int64; padding is told from data by these alone."""
    labels: Tensor
    """(B, T) int64, -1 where unlabelled or padded."""
    action: Tensor
    """(B,) int64, number in the sorted list of actions."""
    video_index: Tensor
    """(B,) int64, number in the set that the loader serves; -1 for a stand-in (see ``OrderedShardSampler``)."""
    points: int | None = None
    """P, length of the longest prototype among the actions: told while the batch is on the host, so that no step has to
    wait for a GPU to say it."""
