"""Frames as the direct fit sees them: preprocessed, and on the grid that all videos share."""

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.aligners.base import Features
from tpl_lightning.data import VideoSet
from tpl_lightning.functional import resample_to_size


class FrameReader:
    """Reads and preprocesses the frames of videos of one cache; keeps them where they are few, to be read again.

    Args:
        preprocessor: What makes features of embeddings.
        most: Bytes that are kept.
    """

    def __init__(self, preprocessor: Features, most: int = 0) -> None:
        """Keep nothing yet."""
        self.preprocessor, self._room = preprocessor, most
        self._kept: dict[int, Tensor] = {}

    def __call__(self, videos: VideoSet, positions: np.ndarray) -> list[Tensor]:
        """Return the features (L, C) of some of the videos."""
        index = videos.indices[positions]
        unread = positions[[i not in self._kept for i in index.tolist()]]
        found: dict[int, Tensor] = {}
        for part in videos.in_blocks(unread):
            lengths = videos.lengths[part].tolist()
            block = self.preprocessor.packed(videos.read_block(part), lengths)
            read = dict(zip(videos.indices[part].tolist(), block.split(lengths), strict=True))
            if block.nbytes <= self._room:
                self._room -= block.nbytes
                self._kept |= read
            else:
                found |= read
        return [self._kept[i] if i in self._kept else found[i] for i in index.tolist()]

    def on_grid(self, videos: VideoSet, size: int) -> Tensor:
        """Return features (N, size, C) at the times j / (size - 1) of each video."""
        features = torch.empty(len(videos), size, self.preprocessor.num_channels)
        for rows in videos.in_blocks(np.arange(len(videos))):
            lengths = torch.from_numpy(videos.lengths[rows])
            features[rows] = resample_to_size(torch.cat(self(videos, rows)), lengths, size)
        return features
