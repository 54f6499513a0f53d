"""Embeddings in memory behind the interface of a cache file, for callers from Python."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tpl_lightning.data.cache.groups import FeatureGroup
from tpl_lightning.data.cache.reader import EmbeddingCache

__all__ = ["ArrayCache"]


class ArrayCache(EmbeddingCache):
    """Videos whose embeddings are arrays; all else reads it as it reads a file. All are in the split ``train``.

    Args:
        videos: (L_i, C) embeddings of each video, finite, of at least two frames.
        action: (N,) what each shows.
        labels: (L_i,) phase of each frame, -1 unlabelled; None: without labels.
        phase_names: Names of each action's phases in order.

    Example:
        >>> import numpy as np
        >>> cache = ArrayCache([np.zeros((5, 3)), np.ones((4, 3))], action=["jump", "jump"])
        >>> len(cache), cache.lengths.tolist(), cache.read(1).shape
        (2, [5, 4], (4, 3))
    """

    def __init__(
        self,
        videos: Sequence[np.ndarray],
        *,
        action: Sequence[str],
        labels: Sequence[np.ndarray] | None = None,
        phase_names: dict[str, list[str]] | None = None,
    ) -> None:
        """Keep the arrays, in float32."""
        self.path, self.dataset, self.extractor = Path("embeddings"), "arrays", "arrays"
        self.source = "arrays in memory"
        self._videos = [np.ascontiguousarray(video, dtype=np.float32) for video in videos]
        self._frame_labels = None if labels is None else [np.asarray(own, dtype=np.int16) for own in labels]
        self.phase_names = dict(phase_names or {})
        count = len(self._videos)
        self.num_channels, self.dtype = self._videos[0].shape[1], np.dtype(np.float32)
        self.feature_groups = self._stored_groups = [FeatureGroup(self.extractor, self.num_channels)]
        self.still_groups = {}
        self.has_labels, self.has_progress, self.has_frame_times = labels is not None, False, False
        self.video_id = np.array([str(i) for i in range(count)])
        self.action, self.split = np.asarray(action, dtype=str), np.full(count, "train")
        self.lengths = np.array([len(video) for video in self._videos], dtype=np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self.fps, self.file_bytes = np.full(count, 24.0, np.float32), np.zeros(count, np.int64)
        self._is_finite = np.ones(count, dtype=bool)

    @property
    def files(self) -> list[Path]:
        """Return no file."""
        return []

    def _rows(self, index: int) -> np.ndarray:
        return self._videos[index]

    def _read_into(self, indices: np.ndarray, frames: np.ndarray, labels: np.ndarray | None, at: np.ndarray) -> None:
        for index, first in zip(indices.tolist(), at.tolist(), strict=True):
            part = slice(first, first + len(self._videos[index]))
            frames[part] = self._videos[index]
            if labels is not None:
                labels[part] = self.labels(index)

    def labels(self, index: int) -> np.ndarray:
        """Return the phase of each frame (L_i,) int16, -1 where unlabelled."""
        if self._frame_labels is None:
            return np.full(self.lengths[index], -1, dtype=np.int16)
        return self._frame_labels[index]

    def extractor_state(self) -> None:
        """Return None: nobody knows what made the arrays."""

    def _hashed(self) -> str:
        digest = hashlib.sha256("\0".join([*self.video_id, *self.action]).encode())
        for video in self._videos:
            digest.update(video.tobytes())
        return digest.hexdigest()[:16]
