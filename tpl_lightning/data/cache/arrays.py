"""Embeddings in memory behind the interface of a cache file, for callers from Python."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.data.cache.file import CacheFile
from tpl_lightning.data.cache.groups import FeatureGroup
from tpl_lightning.data.cache.layout import COLUMNS
from tpl_lightning.data.cache.reader import EmbeddingCache


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
        self._videos = [np.ascontiguousarray(video, dtype=np.float32) for video in videos]
        known = {} if labels is None else {"labels": np.concatenate(labels).astype(np.int16)}
        self._serve(Path("embeddings"), [_Arrays(self._videos, action, known, dict(phase_names or {}))])

    @property
    def files(self) -> list[Path]:
        """Return no file."""
        return []

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with the actions or the embeddings, not with the labels."""
        digest = hashlib.sha256("\0".join([*self.video_id, *self.action]).encode())
        for video in self._videos:
            digest.update(video.tobytes())
        return digest.hexdigest()[:16]


class _Arrays(CacheFile):
    """Arrays as if a file held them."""

    def __init__(
        self,
        videos: Sequence[np.ndarray],
        action: Sequence[str],
        known: dict[str, np.ndarray],
        phase_names: dict[str, list[str]],
    ) -> None:
        count = len(videos)
        self.path, self.dataset, self.extractor = Path("embeddings"), "arrays", "arrays"
        self.source, self.phase_names = "arrays in memory", phase_names
        self.video_id, self.action = np.array([str(i) for i in range(count)]), np.asarray(action, dtype=str)
        self.split, self.has = np.full(count, "train"), frozenset(known)
        self.fps, self.file_bytes = (COLUMNS[name].filled(count) for name in ("fps", "file_bytes"))
        self.lengths = np.array([len(video) for video in videos], dtype=np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self.num_channels, self.dtype = videos[0].shape[1], np.dtype(np.float32)
        self.feature_groups = [FeatureGroup(self.extractor, self.num_channels)]
        self._at, self._known = dict(zip(self.offsets.tolist(), videos, strict=False)), known

    def __getstate__(self) -> dict[str, Any]:
        """Leave nothing behind."""
        return self.__dict__

    def read_extents(self, out: np.ndarray, at: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> None:
        """Read the videos that begin at rows ``starts`` (K,) to rows ``at`` of ``out`` and those that follow."""
        for first, start, length in zip(at.tolist(), starts.tolist(), lengths.tolist(), strict=True):
            out[first : first + length] = self._at[start]

    def extractor_state(self) -> None:
        """Return None: nobody knows what made the arrays."""
