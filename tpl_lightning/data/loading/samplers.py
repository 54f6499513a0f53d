"""Batches of videos of similar length, alike on every rank."""

import math
from collections.abc import Iterator

import numpy as np
import torch.distributed as dist
from torch.utils.data import Sampler

STAND_IN = -1
"""Index that stands for "some video, without its labels"."""


def rank_and_world() -> tuple[int, int]:
    """Return this process's rank and the number of processes, (0, 1) without torch.distributed."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


class LengthBucketSampler(Sampler[list[int]]):
    """Shuffled batches of videos of similar length, so that little is padded.

    Videos are sorted by length times random noise and cut into global batches of at most ``batch_size`` times the
    number of ranks. The batches are as equal in size as can be, since a small rest could not be aligned with anything,
    and they are shuffled. All ranks draw the same batches and take every ``world``-th video of each, so they have
    equally many. Each video comes once per epoch; a batch with fewer videos than ranks is filled up with its own.

    Args:
        lengths: (N,) frames of each video.
        batch_size: Videos per batch and rank.
        seed: With the epoch it decides the order.
        noise: How far lengths are disturbed before sorting, as a share.
        resume: Epoch with which to begin, and how many of its batches are done already.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        noise: float = 0.1,
        resume: tuple[int, int] = (0, 0),
    ) -> None:
        """Keep the options."""
        self.lengths, self.batch_size, self.seed, self.noise = np.asarray(lengths), batch_size, seed, noise
        self.epoch, self.resume = resume[0], resume

    @property
    def sampler(self) -> "LengthBucketSampler":
        """Return itself: Lightning tells the epoch to a batch sampler's ``sampler``, not to the batch sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next (Lightning calls this)."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches per rank."""
        return math.ceil(len(self.lengths) / (self.batch_size * rank_and_world()[1]))

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of this rank."""
        rank, world = rank_and_world()
        rng = np.random.default_rng([self.seed, self.epoch])
        factor = rng.uniform(1 - self.noise, 1 + self.noise, len(self.lengths))
        order = np.argsort(self.lengths * factor, kind="stable")
        batches = np.array_split(order, len(self)) if len(order) else []
        done = self.resume[1] if self.epoch == self.resume[0] else 0
        for number, place in enumerate(rng.permutation(len(batches))):
            batch = rng.permutation(batches[place])
            if number < done:
                continue
            if len(batch) < world:
                batch = np.resize(batch, world)
            yield batch[rank::world].tolist()


class OrderedShardSampler(Sampler[int]):
    """Every ``world``-th video in order, each on one rank only, so that no score counts a video twice.

    Ranks may hold unequal numbers of videos; metrics with sum states do not mind. A rank without any would be left out
    of the loop by Lightning and then miss in the collectives at its end, on which the others wait for ever. So it gets
    :data:`STAND_IN`, a video without labels, which counts in no score.

    Args:
        count: Number of videos.
    """

    def __init__(self, count: int) -> None:
        """Keep the number."""
        self.count = count

    def __len__(self) -> int:
        """Return the number of videos of this rank."""
        return len(self._videos())

    def __iter__(self) -> Iterator[int]:
        """Yield the videos of this rank."""
        yield from self._videos()

    def _videos(self) -> list[int]:
        rank, world = rank_and_world()
        return list(range(rank, self.count, world)) or [STAND_IN] * (self.count > 0)
