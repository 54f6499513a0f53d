"""method=tcc and method=lav: pairs, loss, learning, stored models, independence of the batch."""

import numpy as np
import pytest
import torch

from tests.aligners.fitting import fit
from tpl_lightning.aligners.registry import load_aligner
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.loading.datamodule import EmbeddingDataset
from tpl_lightning.data.loading.preprocessing import Preprocessor
from tpl_lightning.data.loading.splits import split_videos
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation.scores import evaluate
from tpl_lightning.lit.heads import HeadModule, same_action_pairs

SMALL = ["head.epochs=25", "head.hidden=16", "head.channels=6", "head.lr=0.005", "run.progress=false", "data.pca=5"]


def _fit(path, run_dir, *options):
    return fit(path, run_dir, *SMALL, *options)


def test_pairs_are_of_one_action():
    found = same_action_pairs(torch.tensor([0, 1, 0, 2, 0])).tolist()
    assert sorted(map(tuple, found)) == [(0, 2), (0, 4), (2, 0), (2, 4), (4, 0), (4, 2)]


def _module_and_batch(path, *options):
    config = load_config([f"data.cache={path}", *SMALL, *options])
    train = split_videos(VideoSet(EmbeddingCache(path)), config.data).train
    preprocessor = Preprocessor.fit(train, config.data)
    batch = preprocessor.padded(EmbeddingDataset(train, train.actions).__getitems__(range(4)))
    torch.manual_seed(0)
    return HeadModule(config_to_dict(config), preprocessor.num_channels), batch


@pytest.mark.parametrize("method", ["tcc", "lav"])
def test_the_loss_depends_on_pairs_and_trains_every_weight(cache_path, method):
    module, batch = _module_and_batch(cache_path, f"method={method}", "head.dropout=0")
    embedded, times = module.sample(batch)
    assert (times.diff(dim=1) > 0).all()
    assert ((times >= 0) & (times <= 1)).all()
    loss = module.objective(embedded, times, batch.action)
    loss.backward()
    for name, parameter in module.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name
    lonely = module.objective(embedded.detach(), times, torch.arange(4))
    assert float(lonely) == 0


def test_few_pairs_are_enough(cache_path):
    module, batch = _module_and_batch(cache_path, "method=tcc", "head.max_pairs=1", "head.dropout=0")
    losses = {round(module.objective(*module.sample(batch), batch.action).item(), 3) for _ in range(6)}
    assert len(losses) > 1


@pytest.mark.parametrize("method", ["tcc", "lav"])
def test_learned_embeddings_align_and_are_stored(tmp_path, make_cache, method):
    path = make_cache(tmp_path / "c.h5", videos=16)
    aligner, splits, config = _fit(path, tmp_path, f"method={method}")
    videos = splits.all()
    found = aligner.align(videos)
    linear, _, _ = _fit(path, tmp_path / "l", "method=linear")
    bound = evaluate(linear.align(videos), videos).overall["warp_error"]
    assert evaluate(found, videos).overall["warp_error"] < 0.7 * bound
    again = load_aligner(tmp_path / "checkpoints" / "last.ckpt", config)
    np.testing.assert_allclose(again.align(videos).prototype_position, found.prototype_position, atol=1e-5)
    alone = aligner.align(splits.test.select(np.array([1])))
    np.testing.assert_allclose(alone.position(0), aligner.align(splits.test).position(1), atol=1e-3)
    features = aligner.features()
    frames = np.concatenate([features(splits.train.read(i)) for i in range(len(splits.train))])
    assert frames.shape[1] == 6
    assert np.square(frames).sum(1).mean() == pytest.approx(1, rel=1e-4)
    assert np.array_equal(again.features()(videos.read(0)), features(videos.read(0)))
    assert aligner.prototypes()["jump"].shape[1] == 6


def test_only_heads_bring_features_of_their_own(tmp_path, cache_path):
    aligner, _, _ = _fit(cache_path, tmp_path, "method=linear")
    assert aligner.features() is None


@pytest.mark.parametrize(
    "bad", ["head.kernel_size=2", "head.num_frames=1", "head.temperature=0", "head.window=1", "head.dropout=1"]
)
def test_bad_options_are_named(bad):
    with pytest.raises(UserError, match=bad.split("=")[0]):
        load_config([bad])
