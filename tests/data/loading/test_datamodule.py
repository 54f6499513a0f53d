"""The data module: what its loaders serve, alone, with workers, and under Lightning in one and in two processes."""

import json
import multiprocessing
import os
import time
from unittest import mock

import h5py
import lightning
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tests.conftest import free_port, write_cache
from tests.data.loading.modules import module_of
from tpl_lightning.config.runs import DataConfig
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.loading import datamodule
from tpl_lightning.data.loading.datamodule import EmbeddingDataset
from tpl_lightning.data.loading.preprocessing import Preprocessor
from tpl_lightning.data.loading.samplers import STAND_IN
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.metrics import CycleBackConsistency, KeyEventSpread, PhaseLabelPropagation


def _videos(loader):
    return [batch.video_index.tolist() for batch in loader]


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_serve_preprocessed_videos(cache, workers):
    module = module_of(cache, batch_size=4, num_workers=workers, pca=3)
    batches = list(module.prototype_dataloader())
    assert [b.video_index.tolist() for b in batches] == [[0, 1, 2, 3], [4, 5]]
    train = module.splits.train
    preprocess = Preprocessor.fit(train, DataConfig(pca=3))
    assert all(batch.frames.dtype == torch.from_numpy(np.zeros(0, cache.dtype)).dtype for batch in batches)
    for batch in (module.on_after_batch_transfer(b, 0) for b in batches):
        for row, video in enumerate(batch.video_index.tolist()):
            length = int(batch.lengths[row])
            expected = preprocess(train.read(video))
            np.testing.assert_allclose(batch.embeddings[row, :length].numpy(), expected, atol=1e-6)
            assert not batch.embeddings[row, length:].any()
            assert (batch.labels[row, length:] == -1).all()
            np.testing.assert_array_equal(batch.labels[row, :length].numpy(), train.labels(video))
            assert ["jump", "turn"][batch.action[row]] == train.action[video]
    seen = sorted(v for b in module.train_dataloader() for v in b.video_index.tolist())
    assert seen == list(range(6))
    assert [b.video_index.tolist() for b in module.test_dataloader()] == [[0, 1]]
    assert len(module.val_dataloader()) == 1
    assert [b.video_index.tolist() for b in module.loader(VideoSet(cache))] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_batches_do_not_depend_on_the_workers(cache):
    alone, helped = (module_of(cache, batch_size=2, num_workers=n) for n in (0, 2))
    for epoch in range(2):
        loaders = [module.train_dataloader() for module in (alone, helped)]
        for loader in loaders:
            loader.batch_sampler.set_epoch(epoch)
        for first, second in zip(*loaders, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(first[:5], second[:5], strict=True))
            assert first[5:] == second[5:]
            assert first.size == first.lengths.max()


def test_a_training_reads_once_and_serves_the_same_from_memory(cache):
    read, kept = (module_of(cache, batch_size=4, pca=3) for _ in range(2))
    kept.setup("fit")
    with mock.patch.object(type(kept.splits.train), "read_batch", side_effect=AssertionError("read again")):
        found = [kept.on_after_batch_transfer(b, 0) for b in kept.prototype_dataloader()]
    expected = [read.on_after_batch_transfer(b, 0) for b in read.prototype_dataloader()]
    assert len(found) == len(expected) == 2
    for batch, own in zip(found, expected, strict=True):
        torch.testing.assert_close(batch.embeddings, own.embeddings, rtol=0, atol=1e-6)
        assert all(torch.equal(a, b) for a, b in zip(batch[1:5], own[1:5], strict=True))
    stand_in = kept.on_after_batch_transfer(kept.train[STAND_IN], 0)
    assert (stand_in.video_index.tolist(), stand_in.labels.max()) == ([-1], -1)
    assert kept.train.videos.labels(0).max() == 2  # the video itself keeps its labels


def test_what_does_not_fit_in_memory_is_read_again(cache):
    module = module_of(cache, batch_size=4, pca=3)
    with mock.patch.object(datamodule, "KEPT_BYTES", int(module.splits.train.lengths.sum()) * 3 * 4 - 1):
        module.setup("fit")
    assert not any(batch.is_ready for batch in module.prototype_dataloader())
    module.setup("fit")
    assert all(batch.is_ready for batch in module.prototype_dataloader())


def _epoch_in_child(module, queue):
    queue.put(_videos(module.train_dataloader()))


def test_it_travels_to_a_spawned_process(cache):
    module = module_of(cache, batch_size=2)
    expected = _videos(module.train_dataloader())
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    child = context.Process(target=_epoch_in_child, args=(module, queue))
    child.start()
    assert queue.get() == expected
    child.join()


STARTS = [
    *(("fork", workers, chunks) for workers in (0, 1, 4) for chunks in (None, (16, 6))),
    ("spawn", 1, None),
    ("forkserver", 1, (16, 6)),
    *(pytest.param(start, 4, None, marks=pytest.mark.slow) for start in ("spawn", "forkserver")),
]


@pytest.mark.parametrize(("start", "workers", "chunks"), STARTS)
def test_any_workers_serve_the_same_batches(tmp_path, start, workers, chunks):
    """Of a plain DataLoader, after this process has read: rows read where they lie, and through HDF5."""
    path = write_cache(tmp_path / "c.h5")
    if chunks:
        with h5py.File(path, "r+") as file:
            rows = file["embeddings"][:]
            del file["embeddings"]
            file.create_dataset("embeddings", data=rows, chunks=chunks)
    videos = EmbeddingDataset(VideoSet(EmbeddingCache(path)), ["jump", "turn"])
    expected = [videos.__getitems__(range(i, i + 3)) for i in range(0, 6, 3)]
    options = {"multiprocessing_context": start} if workers else {}
    loader = DataLoader(videos, batch_size=3, drop_last=True, collate_fn=_same, num_workers=workers, **options)
    for batch, own in zip(loader, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(batch[:5], own[:5], strict=True))


def _same(batch):
    return batch


def test_without_a_test_split_all_videos_are_tested(tmp_path):
    cache = EmbeddingCache(write_cache(tmp_path / "x.h5", split=["train"] * 6 + ["val"] * 2))
    module = module_of(cache)
    assert _videos(module.test_dataloader()) == [list(range(8))]
    assert [_videos(loader) for loader in module.val_dataloader()] == [[list(range(6))], [[0, 1]]]


def test_a_stand_in_counts_in_no_score(cache):
    module = module_of(cache)
    batch, first = (module.on_after_batch_transfer(module.test[i], 0) for i in (STAND_IN, 0))
    assert torch.equal(batch.embeddings, first.embeddings)
    assert first.labels.max() == 2  # the video itself keeps its labels
    assert (batch.video_index.tolist(), batch.labels.max()) == ([-1], -1)
    position = torch.linspace(0, 1, int(batch.lengths))[None]
    length = torch.tensor([7])
    votes = (batch.labels, batch.lengths, batch.action, torch.linspace(0, 1, 7)[None], length)
    size = {"num_actions": 2, "num_phases": 3}
    cbc, plp = (kind(**size, max_length=7) for kind in (CycleBackConsistency, PhaseLabelPropagation))
    spread = KeyEventSpread(**size)
    cbc.update(position, *votes)
    plp.update_prototype(*votes)
    plp.update(position, batch.labels, batch.lengths, batch.action, length)
    spread.update(position, batch.labels, batch.lengths, batch.action)
    for metric in (cbc, plp, spread):
        assert not any(state.any() for name, state in metric.metric_state.items() if name != "apart")


def test_what_does_not_fit_is_named(cache):
    with mock.patch.object(datamodule, "rank_and_world", return_value=(0, 7)):
        module = module_of(cache)
        with pytest.raises(UserError, match=r"6 training videos .* 7 devices; use trainer.devices=6"):
            module.train_dataloader()
    with pytest.raises(UserError, match=r"'turn' is not among .*\(jump\)"):
        EmbeddingDataset(VideoSet(cache), ["jump"])


class Recorder(lightning.LightningModule):
    """Notes which videos came; its epoch ends and its buffer need all ranks, as ours do."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.seen = folder, {"train": [], "val": [], "test": []}
        self.layer = torch.nn.Linear(6, 1)
        self.register_buffer("statistic", torch.zeros(1))

    def training_step(self, batch, batch_idx):
        self.seen["train"].append((self.current_epoch, batch.video_index.tolist()))
        return self.layer(batch.embeddings).square().mean()

    def _evaluate(self, name, batch, loader):
        self.layer(batch.embeddings)
        self.seen[name].append((loader, batch.video_index.tolist()))

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        self._evaluate("val", batch, dataloader_idx)

    def test_step(self, batch, batch_idx):
        self._evaluate("test", batch, 0)

    def on_validation_epoch_end(self):
        self.trainer.strategy.barrier()

    def on_test_epoch_end(self):
        self.trainer.strategy.barrier()
        (self.folder / f"rank{self.global_rank}.json").write_text(json.dumps(self.seen))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-3)


def _trainer(**options):
    return lightning.Trainer(
        accelerator="cpu",
        max_epochs=2,
        check_val_every_n_epoch=2,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def test_lightning_tells_the_epoch_so_that_each_has_its_own_order(tmp_path, cache):
    module, expected = module_of(cache, batch_size=2, pca=None), []
    loader = module.train_dataloader()
    for epoch in range(2):
        loader.batch_sampler.set_epoch(epoch)
        expected.append(_videos(loader))
    assert expected[0] != expected[1]
    recorder = Recorder(tmp_path)
    _trainer(limit_val_batches=0).fit(recorder, datamodule=module)
    assert [[videos for e, videos in recorder.seen["train"] if e == epoch] for epoch in range(2)] == expected


def _rank(rank, folder, path, port):
    """Be one of two processes that Lightning takes for ranks started by a launcher (torchrun)."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"}
    torch.set_num_threads(1)
    module, recorder = module_of(EmbeddingCache(path), batch_size=2, pca=None), Recorder(folder)
    trainer = _trainer(strategy="ddp", devices=2)
    trainer.fit(recorder, datamodule=module)
    trainer.test(recorder, datamodule=module, verbose=False)


def test_two_ranks_share_the_videos_and_end_even_where_one_has_none(tmp_path):
    """7 training videos, 1 for validation and 1 for testing: the second rank has none of the last two."""
    split = ["train"] * 7 + ["val", "test"]
    path = write_cache(tmp_path / "x.h5", videos=9, split=split)
    processes = torch.multiprocessing.spawn(_rank, (tmp_path, path, free_port()), nprocs=2, join=False)
    deadline = time.monotonic() + 120  # a rank that waits for ever must fail the test, not stop it
    try:
        while not processes.join(timeout=1):
            assert time.monotonic() < deadline, "a rank hangs"
    finally:
        for process in processes.processes:
            process.kill()
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2)]
    for epoch in range(2):
        batches = [[videos for e, videos in rank["train"] if e == epoch] for rank in ranks]
        assert len(batches[0]) == len(batches[1])
        assert sorted(video for rank in batches for batch in rank for video in batch) == list(range(7))
    assert ranks[0]["val"] == [[0, [0, 2]], [0, [4, 6]], [1, [0]]]
    assert ranks[1]["val"] == [[0, [1, 3]], [0, [5]], [1, [STAND_IN]]]
    assert (ranks[0]["test"], ranks[1]["test"]) == ([[0, [0]]], [[0, [STAND_IN]]])
