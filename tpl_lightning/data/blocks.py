"""Several videos as one array, in memory that is used again: one product of matrices, not many small ones."""

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.data.buffers import BufferPool
from tpl_lightning.data.video_set import VideoSet

__all__ = ["in_blocks", "read_block"]

_BLOCK = 2048  # frames read at a time


def in_blocks(positions: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Return the positions of videos in groups of about a few thousand frames.

    Args:
        positions: (K,) whole numbers.
        lengths: (N,) frames of each video of the set.
    """
    if len(positions) == 0:
        return []
    ends = np.cumsum(lengths[positions]) // _BLOCK
    return np.split(positions, np.flatnonzero(np.diff(ends)) + 1)


def read_block(videos: VideoSet, positions: np.ndarray, memory: BufferPool) -> Tensor:
    """Return the embeddings of some of the videos, one behind the other, (F, C) float32.

    Args:
        videos: The videos.
        positions: (K,) of them.
        memory: Where the result lies; free again when nothing refers to it any more.

    Raises:
        UserError: If a video cannot be read, or holds NaN or infinity; names it.
    """
    shape = (int(videos.lengths[positions].sum()), videos.num_channels)
    stored = memory.empty(shape, videos.cache.served_dtype)
    videos.read_batch(positions, stored.numpy())
    if stored.dtype == torch.float32:
        return stored
    return memory.empty(shape, np.dtype(np.float32)).copy_(stored)
