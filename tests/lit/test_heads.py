"""Embedding heads in training: pairs, samples and losses against the functions that they are made of."""

import pytest
import torch

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.loading.datamodule import EmbeddingDataset
from tpl_lightning.data.loading.preprocessing import BatchPreprocessor, Preprocessor
from tpl_lightning.data.loading.splits import split_videos
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.functional.losses import contrastive_idm, cycle_back_regression, soft_dtw
from tpl_lightning.functional.resampling import resample
from tpl_lightning.lit.heads import HeadModule, same_action_pairs

SMALL = ["head.hidden=16", "head.channels=6", "data.pca=5"]


def test_pairs_are_of_one_action():
    found = same_action_pairs(torch.tensor([0, 1, 0, 2, 0])).tolist()
    assert sorted(map(tuple, found)) == [(0, 2), (0, 4), (2, 0), (2, 4), (4, 0), (4, 2)]


def _module_and_batch(path, *options):
    config = load_config([f"data.cache={path}", *SMALL, *options])
    train = split_videos(VideoSet(EmbeddingCache(path)), config.data).train
    preprocessor = Preprocessor.fit(train, config.data)
    batch = BatchPreprocessor(preprocessor)(EmbeddingDataset(train, train.actions).__getitems__(range(4)))
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
def test_the_loss_is_the_mean_over_pairs_one_by_one(cache_path, method):
    module, batch = _module_and_batch(cache_path, f"method={method}", "head.dropout=0")
    embedded, times = (x.detach() for x in module.sample(batch))
    options, losses = module.options, []
    for i, j in same_action_pairs(batch.action).tolist():
        query, other, time = embedded[i : i + 1], embedded[j : j + 1], times[i : i + 1]
        if method == "tcc":
            terms = {"temperature": options["temperature"], "variance_weight": options["variance_weight"]}
            losses.append(cycle_back_regression(query, other, time, **terms))
        else:
            losses.append(soft_dtw(torch.cdist(query, other).square(), options["gamma"]) / (2 * times.shape[1]))
    expected = torch.cat(losses).mean()
    if method == "lav":
        spread = contrastive_idm(embedded, times, window=options["window"], margin=options["margin"])
        expected = expected + options["contrast"] * spread.mean()
    torch.testing.assert_close(module.objective(embedded, times, batch.action), expected)
    assert len(losses) == 4


def test_each_part_of_a_video_gives_one_frame(cache_path):
    module, batch = _module_and_batch(cache_path, "method=tcc", "head.dropout=0", "head.num_frames=7")
    embedded, times = module.sample(batch)
    assert (times * 7).floor().tolist() == [list(range(7))] * 4
    torch.testing.assert_close(
        embedded, resample(module.network(batch.embeddings, batch.lengths), times, batch.lengths)
    )
    assert not torch.equal(module.sample(batch)[1], times)
