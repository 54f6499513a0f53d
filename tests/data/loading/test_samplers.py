"""Padded batches and samplers."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpl_lightning.data.loading import samplers
from tpl_lightning.data.loading.samplers import STAND_IN, LengthBucketSampler, OrderedShardSampler


@given(
    lengths=st.lists(st.integers(2, 500), min_size=1, max_size=60),
    batch_size=st.integers(1, 9),
    world=st.integers(1, 4),
    epoch=st.integers(0, 5),
)
def test_every_video_once_per_epoch_and_as_many_batches_on_every_rank(lengths, batch_size, world, epoch):
    sampler = LengthBucketSampler(np.array(lengths), batch_size=batch_size, seed=1)
    sampler.set_epoch(epoch)
    ranks = []
    for rank in range(world):
        with mock.patch.object(samplers, "rank_and_world", return_value=(rank, world)):
            ranks.append(list(sampler))
            assert len(sampler) == len(ranks[-1])
    assert len({len(batches) for batches in ranks}) == 1
    assert all(1 <= len(b) <= batch_size for batches in ranks for b in batches)
    seen = [video for batches in ranks for b in batches for video in b]
    assert set(seen) == set(range(len(lengths)))
    assert len(seen) < len(lengths) + world  # only a last batch smaller than the world repeats any


def test_sampler_is_reproducible_and_differs_between_epochs():
    sampler = LengthBucketSampler(np.arange(2, 42), batch_size=4, seed=0)
    first = list(sampler)
    assert first == list(sampler)
    sampler.set_epoch(1)
    assert first != list(sampler)
    assert first != list(LengthBucketSampler(np.arange(2, 42), batch_size=4, seed=1))


@given(count=st.integers(2, 90), batch_size=st.integers(2, 9), world=st.integers(1, 4))
def test_batches_are_even(count, batch_size, world):
    sampler = LengthBucketSampler(np.full(count, 10), batch_size=batch_size, seed=0)
    ranks = []
    for rank in range(world):
        with mock.patch.object(samplers, "rank_and_world", return_value=(rank, world)):
            ranks.append(list(sampler))
    sizes = [sum(map(len, parts)) for parts in zip(*ranks, strict=True)]
    assert max(sizes) - min(sizes) <= 1
    if count >= world:
        assert sum(sizes) == count  # with room for two videos per rank and batch, none comes twice


def test_buckets_pad_less_than_shuffling():
    lengths = np.random.default_rng(0).integers(20, 600, 1000)

    def padded(batches):
        return sum(len(b) * lengths[b].max() for b in batches) / lengths.sum()

    order = np.random.default_rng(1).permutation(1000)
    shuffled = padded([order[i : i + 32] for i in range(0, 1000, 32)])
    assert padded(list(LengthBucketSampler(lengths, batch_size=32, seed=0))) < 1.15 < shuffled


@pytest.mark.parametrize(
    ("count", "parts"), [(7, [[0, 3, 6], [1, 4], [2, 5]]), (2, [[0], [1], [STAND_IN]]), (0, [[], [], []])]
)
def test_shards_are_disjoint_and_complete_and_no_rank_stays_empty(count, parts):
    for rank, expected in enumerate(parts):
        with mock.patch.object(samplers, "rank_and_world", return_value=(rank, 3)):
            sampler = OrderedShardSampler(count)
            assert list(sampler) == expected
            assert len(sampler) == len(expected)
