"""Batches: some of their videos."""

import torch

from tests.data.loading.modules import module_of


def test_some_videos_of_a_batch_and_one_where_none_is_wanted(cache):
    module = module_of(cache, batch_size=4)
    (batch, _) = (module.on_after_batch_transfer(b, 0) for b in module.prototype_dataloader())
    some = batch.some(batch.video_index % 2 == 1)
    assert some.video_index.tolist() == [1, 3]
    assert torch.equal(some.embeddings, batch.embeddings[[1, 3]])
    assert (some.points, some.lengths.tolist()) == (batch.points, batch.lengths[[1, 3]].tolist())
    assert batch.some(batch.video_index < 0).video_index.tolist() == [0]
