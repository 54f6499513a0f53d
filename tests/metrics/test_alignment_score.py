"""The score without labels, from sums: the same as the one from whole videos, whatever the batches."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import write_cache
from tpl_lightning.aligners.by_length import LinearAligner
from tpl_lightning.config import Config
from tpl_lightning.config.loading import load_config
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.loading.preprocessing import Preprocessor
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.quality import assess
from tpl_lightning.evaluation.warp import prototype_grid
from tpl_lightning.metrics import AlignmentScore


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Videos with warps by random powers, what the whole-video score says, and rows for the metric."""
    path = write_cache(tmp_path_factory.mktemp("c") / "c.h5", videos=11, actions=("jump", "turn", "once"))
    videos = VideoSet(EmbeddingCache(path))
    videos = videos.select(np.array([i for i in range(11) if videos.action[i] != "once" or i == 2]))
    features = Preprocessor.fit(videos, load_config(["data.pca=4"]).data)
    linear = LinearAligner(Config(), Path())
    linear.fit(videos)
    base, rng = linear.align(videos), np.random.default_rng(0)
    powers = rng.uniform(0.7, 1.4, len(videos))
    alignment = Alignment.from_rows(
        video_id=base.video_id,
        action=base.action,
        split=np.full(len(videos), "train"),
        positions=[base.position(i) for i in range(len(videos))],
        sources=[prototype_grid(int(n)).astype(float) ** p for n, p in zip(base.prototype_length, powers, strict=True)],
    )
    return alignment, videos, features


def _rows(alignment, videos, features, chosen, extra=0):
    """Arguments of ``update`` for some videos, padded by some more frames and points."""
    frames = [features(videos.read(i)) for i in chosen]
    sources = [alignment.source(i) for i in chosen]
    embeddings = torch.full((len(chosen), max(map(len, frames)) + extra, frames[0].shape[1]), 1e3)
    source = torch.full((len(chosen), max(map(len, sources))), 2.0)
    for row, (values, times) in enumerate(zip(frames, sources, strict=True)):
        embeddings[row, : len(values)] = torch.from_numpy(values)
        source[row, : len(times)] = torch.from_numpy(times)
    return {
        "features": embeddings,
        "source_position": source,
        "lengths": torch.tensor([len(values) for values in frames]),
        "action": torch.tensor([videos.actions.index(videos.action[i]) for i in chosen]),
        "prototype_length": torch.tensor([len(times) for times in sources]),
    }


def _metric(alignment, videos, features):
    longest = int(alignment.prototype_length.max())
    return AlignmentScore(num_actions=len(videos.actions), max_length=longest, num_channels=features.num_channels)


@pytest.mark.parametrize("batches", [[[*range(9)]], [[3, 1], [7, 0, 2, 8], [4, 5, 6]]])
def test_it_is_the_score_of_whole_videos(case, batches):
    metric = _metric(*case)
    for chosen in batches:
        rows = _rows(*case, chosen, extra=len(chosen))
        metric.update(**rows, keep=torch.ones(len(chosen), dtype=torch.bool))
    expected = assess(*case)
    assert abs(expected.score) > 0.05
    assert expected.score == pytest.approx(expected.agreement - 0.1 * expected.roughness)
    assert float(metric.compute()) == pytest.approx(expected.score, abs=2e-5)


def test_stand_ins_do_not_count(case):
    metric = _metric(*case)
    metric.update(**_rows(*case, [*range(9), 3, 3]), keep=torch.arange(11) < 9)
    assert float(metric.compute()) == pytest.approx(assess(*case).score, abs=2e-5)


def test_one_video_of_each_action_has_no_score(case):
    metric = _metric(*case)
    metric.update(**_rows(*case, [0, 1]), keep=torch.ones(2, dtype=torch.bool))
    assert torch.isnan(metric.compute())
