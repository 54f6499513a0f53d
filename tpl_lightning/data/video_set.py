"""Some videos of an embedding cache, in order: what splits, loaders and aligners pass around."""

from typing import TYPE_CHECKING

import numpy as np

from tpl_lightning.data.cache.reader import EmbeddingCache

if TYPE_CHECKING:
    from torch import Tensor


class VideoSet:
    """Some videos of a cache, in order.

    Args:
        cache: The cache.
        indices: Their numbers in the cache; None: all.
        action: (N,) what each shows, None: as the cache says.
        split: (N,) of each, None: as the cache says; folds give videos another one.

    Example:
        >>> from tpl_lightning.data import ArrayCache
        >>> videos = VideoSet(ArrayCache([np.eye(2), np.eye(3, 2)], action=["jump", "turn"]))
        >>> turns = videos.select(videos.action == "turn")
        >>> len(videos), turns.lengths.tolist(), turns.read(0).shape
        (2, [3], (3, 2))
    """

    def __init__(
        self,
        cache: EmbeddingCache,
        indices: np.ndarray | None = None,
        *,
        action: np.ndarray | None = None,
        split: np.ndarray | None = None,
    ) -> None:
        """Take the metadata of the chosen videos."""
        self.cache = cache
        self.indices = np.arange(len(cache)) if indices is None else np.asarray(indices, dtype=np.int64)
        self.action = cache.action[self.indices] if action is None else np.asarray(action, dtype=str)
        self.split = cache.split[self.indices] if split is None else np.asarray(split, dtype=str)
        self.video_id, self.lengths, self.fps = (x[self.indices] for x in (cache.video_id, cache.lengths, cache.fps))

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.indices)

    def select(self, which: np.ndarray) -> "VideoSet":
        """Return the videos of a boolean mask, or at the given positions."""
        return VideoSet(self.cache, self.indices[which], action=self.action[which], split=self.split[which])

    def with_action(self, action: np.ndarray) -> "VideoSet":
        """Return the same videos with other actions."""
        return VideoSet(self.cache, self.indices, action=action, split=self.split)

    def with_split(self, split: np.ndarray) -> "VideoSet":
        """Return the same videos with other splits."""
        return VideoSet(self.cache, self.indices, action=self.action, split=split)

    @property
    def actions(self) -> list[str]:
        """Return the actions that occur, sorted."""
        return sorted(set(self.action.tolist()))

    @property
    def action_index(self) -> np.ndarray:
        """Return the number of each video's action among :attr:`actions`, (N,) int64."""
        return np.searchsorted(self.actions, self.action)

    @property
    def num_channels(self) -> int:
        """Return the channels of an embedding."""
        return self.cache.num_channels

    @property
    def phase_names(self) -> dict[str, list[str]]:
        """Return the names of each action's phases."""
        return self.cache.phase_names

    def read(self, position: int) -> np.ndarray:
        """Return the embeddings (L_i, C), float32."""
        return self.cache.read(int(self.indices[position]))

    def in_blocks(self, positions: np.ndarray, num_frames: int = 2048) -> list[np.ndarray]:
        """Return positions (K,) in groups of about so many frames: one product of matrices, not many small."""
        if len(positions) == 0:
            return []
        ends = np.cumsum(self.lengths[positions]) // num_frames
        return np.split(positions, np.flatnonzero(np.diff(ends)) + 1)

    def read_block(self, positions: np.ndarray) -> "Tensor":
        """Return the embeddings of some videos, one behind the other, (F, C) float32.

        Raises:
            UserError: If a video cannot be read, or holds NaN or infinity; names it.
        """
        import torch  # here, as `tpl cache info` answers without it

        frames = np.empty((int(self.lengths[positions].sum()), self.num_channels), self.cache.served_dtype)
        self.read_batch(positions, frames)
        return torch.from_numpy(frames).float()

    def read_batch(self, positions: np.ndarray, frames: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Read videos one behind the other, see :meth:`EmbeddingCache.read_batch`."""
        self.cache.read_batch(self.indices[positions], frames, labels)

    def labels(self, position: int) -> np.ndarray:
        """Return the phase of each frame (L_i,), -1 where unlabelled."""
        return self.cache.labels(int(self.indices[position]))

    def progress(self, position: int) -> np.ndarray | None:
        """Return the true progress of each frame (L_i,), None where unknown."""
        return self.cache.progress(int(self.indices[position]))
