"""The same fit and the same flow on a GPU and on the CPU; skipped where there is no GPU."""

import numpy as np
import pytest
import torch

from tests.conftest import write_cache
from tpl_lightning.aligners.registry import build_aligner
from tpl_lightning.config.loading import load_config
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.loading.datamodule import EmbeddingDataModule
from tpl_lightning.data.loading.preprocessing import Preprocessor
from tpl_lightning.data.loading.splits import split_videos
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.functional.scores.kendall import pairwise_kendall_tau
from tpl_lightning.functional.warps.cpab import cpab_warp

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_warps_and_their_gradients():
    draw = torch.Generator().manual_seed(0)
    theta, grid = torch.randn(6, 15, generator=draw), torch.linspace(0, 1, 50).expand(6, -1)
    found = []
    for device in ("cpu", "cuda"):
        own = theta.to(device).requires_grad_()
        warped = cpab_warp(own, grid.to(device))
        (gradient,) = torch.autograd.grad(warped.square().sum(), own)
        found.append((warped.detach().cpu(), gradient.cpu()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_the_direct_fit(tmp_path):
    videos = VideoSet(EmbeddingCache(write_cache(tmp_path / "c.h5", videos=12)))
    rows = []
    for device in ("cpu", "cuda"):
        aligner = build_aligner(load_config(["method=direct", f"direct.device={device}", "data.pca=4"]), tmp_path)
        aligner.fit(videos)
        rows.append(aligner.align(videos).prototype_position)
    np.testing.assert_allclose(rows[0], rows[1], atol=5e-3)


def test_batches_are_preprocessed_alike(tmp_path):
    cache = EmbeddingCache(write_cache(tmp_path / "c.h5"))
    data = load_config(["data.pca=3", "data.batch_size=4"]).data
    splits = split_videos(VideoSet(cache), data)
    module = EmbeddingDataModule(splits, Preprocessor.fit(splits.train, data), ["jump", "turn"], data, seed=0)
    for batch in module.prototype_dataloader():
        assert batch.frames.is_pinned()
        moved = type(batch)._make(x.to("cuda") if isinstance(x, torch.Tensor) else x for x in batch)
        there, here = module.on_after_batch_transfer(moved, 0), module.on_after_batch_transfer(batch, 0)
        torch.testing.assert_close(there.embeddings.cpu(), here.embeddings, atol=1e-5, rtol=1e-4)


def test_kendalls_tau():
    draw = torch.Generator().manual_seed(0)
    frames, lengths = torch.randn(3, 40, 4, generator=draw).cumsum(1), torch.tensor([40, 30, 35])
    found = pairwise_kendall_tau(frames.cuda(), lengths.cuda())
    torch.testing.assert_close(found.cpu(), pairwise_kendall_tau(frames, lengths), atol=1e-3, rtol=0)
