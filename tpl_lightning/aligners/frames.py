"""Frames as the direct fit sees them: preprocessed, and on the grid that all videos share."""

import torch
from torch import Tensor

from tpl_lightning.aligners.base import Features
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.functional.resample import resample_to_size

__all__ = ["FrameReader"]

_TOGETHER = 16  # videos sampled in one call


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

    def __call__(self, videos: VideoSet, position: int) -> Tensor:
        """Return the features (L, C) of a video."""
        index = int(videos.indices[position])
        if index in self._kept:
            return self._kept[index]
        frames = torch.from_numpy(self.preprocessor(videos.read(position)))
        if frames.nbytes <= self._room:
            self._room -= frames.nbytes
            self._kept[index] = frames
        return frames

    def on_grid(self, videos: VideoSet, size: int) -> Tensor:
        """Return features (N, size, C) at the times j / (size - 1) of each video."""
        features = torch.empty(len(videos), size, self.preprocessor.num_channels)
        for start in range(0, len(videos), _TOGETHER):
            rows = range(start, min(start + _TOGETHER, len(videos)))
            frames = torch.cat([self(videos, i) for i in rows])
            features[rows.start : rows.stop] = resample_to_size(frames, torch.from_numpy(videos.lengths[rows]), size)
        return features
