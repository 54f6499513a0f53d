"""The score without labels: zero for linear, higher for better warps; what looks wrong is named."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from tpl_lightning.aligners.by_length import LinearAligner
from tpl_lightning.aligners.direct import DirectAligner
from tpl_lightning.config import Config
from tpl_lightning.config.loading import load_config
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.loading.preprocessing import Preprocessor
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.quality import assess
from tpl_lightning.evaluation.warp import prototype_grid


@pytest.fixture
def videos(tmp_path, make_cache):
    return VideoSet(EmbeddingCache(make_cache(tmp_path / "c.h5", videos=16)))


def _features(videos):
    return Preprocessor.fit(videos, load_config(["data.pca=5"]).data)


def _with_sources(alignment, function):
    """The alignment with every warp replaced by ``function`` (times of prototype points)."""
    sources = [function(prototype_grid(int(n)).astype(float), i) for i, n in enumerate(alignment.prototype_length)]
    return Alignment.from_rows(
        video_id=alignment.video_id,
        action=alignment.action,
        split=np.full(len(alignment), "train"),
        positions=[alignment.position(i) for i in range(len(alignment))],
        sources=sources,
    )


def test_linear_scores_zero_and_better_warps_score_higher(tmp_path, videos):
    features, linear = _features(videos), LinearAligner(Config(), Path())
    linear.fit(videos)
    plain = assess(linear.align(videos), videos, features)
    assert plain.agreement == pytest.approx(0, abs=1e-6)
    assert plain.roughness == pytest.approx(0, abs=1e-4)
    assert plain.warnings == []
    direct = DirectAligner(load_config(["method=direct", "data.pca=5"]), tmp_path)
    direct.fit(videos)
    found = assess(direct.align(videos), videos, features)
    assert found.agreement > 0.5
    assert found.score == pytest.approx(found.agreement - 0.1 * found.roughness)
    assert found.warnings == []


def test_what_looks_wrong_is_named(videos):
    features, linear = _features(videos), LinearAligner(Config(), Path())
    linear.fit(videos)
    base = linear.align(videos)
    shared = assess(_with_sources(base, lambda t, i: t**2), videos, features)
    assert any("share one warp" in w for w in shared.warnings)
    stairs = assess(_with_sources(base, lambda t, i: np.clip(12 * (t - 0.1 - 0.04 * i), 0, 1)), videos, features)
    assert any("stairs" in w for w in stairs.warnings)
    assert any("no better than under linear" in w for w in stairs.warnings)
    assert stairs.score < 0


def test_labels_and_test_videos_are_not_looked_at(tmp_path, make_cache, videos):
    linear = LinearAligner(Config(), Path())
    linear.fit(videos)
    unlabelled = VideoSet(EmbeddingCache(make_cache(tmp_path / "u.h5", videos=16, labels=False)))
    curved = _with_sources(linear.align(videos), lambda t, i: t ** (1 + 0.05 * i))
    split = np.array(["train", "test"] * 8)
    first = assess(replace(curved, split=split), videos, _features(videos))
    second = assess(replace(curved, split=split), unlabelled, _features(unlabelled))
    assert first == second
    assert first != assess(curved, videos, _features(videos))


def test_videos_that_do_not_follow_the_others_are_named(tmp_path, make_cache):
    """One video is shuffled, one is another signal, one does not change; the others are well."""
    path = make_cache(tmp_path / "c.h5", videos=16)
    rng = np.random.default_rng(0)
    with h5py.File(path, "r+") as file:
        offsets, frames = file["offsets"][:], file["embeddings"]
        places = [slice(*offsets[i : i + 2]) for i in (2, 5, 14)]
        frames[places[0]] = rng.permutation(frames[places[0]])
        frames[places[1]] = rng.normal(size=frames[places[1]].shape)
        frames[places[2]] = 0.5
    videos = VideoSet(EmbeddingCache(path))
    train = videos.select(videos.split == "train")
    direct = DirectAligner(load_config(["method=direct", "data.pca=5"]), tmp_path)
    direct.fit(train)
    found = assess(direct.align(videos), videos, _features(train))
    assert sorted(found.doubtful) == ["jump_14", "jump_2", "turn_5"]
    assert [w for w in found.warnings if w.startswith("jump: the alignment of 2 of 8 videos is doubtful")]


def test_a_warp_that_leads_away_from_the_others_is_doubtful(videos):
    features, linear = _features(videos), LinearAligner(Config(), Path())
    linear.fit(videos)
    base = linear.align(videos)
    before, after = (
        assess(_with_sources(base, lambda t, i, to=to: t**to if i == 4 else t), videos, features) for to in (1, 3)
    )
    assert set(after.doubtful) - set(before.doubtful) == {"jump_4"}
