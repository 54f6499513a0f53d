"""Padded batches, samplers, the data module."""

from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tpl_lightning.config import DataConfig
from tpl_lightning.data import samplers
from tpl_lightning.data.batch import Sample, collate
from tpl_lightning.data.cache import VideoSet
from tpl_lightning.data.datamodule import EmbeddingDataModule
from tpl_lightning.data.preprocess import Preprocessor
from tpl_lightning.data.samplers import LengthBucketSampler, OrderedShardSampler
from tpl_lightning.data.splits import split_videos


def _module(cache, **options):
    data = DataConfig(**options)
    splits = split_videos(VideoSet(cache), data)
    return EmbeddingDataModule(splits, Preprocessor.fit(splits.train, data), ["jump", "turn"], data, seed=3)


def test_collate_pads_at_the_end():
    samples = [Sample(np.ones((n, 2), np.float32) * n, np.arange(n) % 3 - 1, n % 2, n + 10) for n in (3, 5)]
    batch = collate(samples)
    assert batch.lengths.tolist() == [3, 5]
    assert batch.embeddings.dtype == torch.float32
    assert batch.embeddings[0, 3:].abs().sum() == 0
    assert batch.labels.tolist() == [[-1, 0, 1, -1, -1], [-1, 0, 1, -1, 0]]
    assert (batch.action.tolist(), batch.video_index.tolist()) == ([1, 1], [13, 15])


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


def test_buckets_pad_less_than_shuffling():
    lengths = np.random.default_rng(0).integers(20, 600, 1000)

    def padded(batches):
        return sum(len(b) * lengths[b].max() for b in batches) / lengths.sum()

    order = np.random.default_rng(1).permutation(1000)
    shuffled = padded([order[i : i + 32] for i in range(0, 1000, 32)])
    assert padded(list(LengthBucketSampler(lengths, batch_size=32, seed=0))) < 1.15 < shuffled


def test_shards_are_disjoint_and_complete():
    parts = []
    for rank in range(3):
        with mock.patch.object(samplers, "rank_and_world", return_value=(rank, 3)):
            parts.append(list(OrderedShardSampler(2)))
    assert parts == [[0], [1], []]


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_serve_preprocessed_videos(cache, workers):
    module = _module(cache, batch_size=4, num_workers=workers, pca=3)
    batches = list(module.prototype_dataloader())
    assert [b.video_index.tolist() for b in batches] == [[0, 1, 2, 3], [4, 5]]
    train = module.splits.train
    preprocess = Preprocessor.fit(train, DataConfig(pca=3))
    for batch in batches:
        for row, video in enumerate(batch.video_index.tolist()):
            length = int(batch.lengths[row])
            np.testing.assert_array_equal(batch.embeddings[row, :length].numpy(), preprocess(train.read(video)))
            np.testing.assert_array_equal(batch.labels[row, :length].numpy(), train.labels(video))
            assert ["jump", "turn"][batch.action[row]] == train.action[video]
    seen = sorted(v for b in module.train_dataloader() for v in b.video_index.tolist())
    assert seen == list(range(6))
    assert [b.video_index.tolist() for b in module.test_dataloader()] == [[0, 1]]
    assert len(module.val_dataloader()) == 1
    assert [b.video_index.tolist() for b in module.loader(VideoSet(cache))] == [[0, 1, 2, 3], [4, 5, 6, 7]]
