"""Splits and folds."""

import numpy as np
import pytest

from tests.conftest import write_cache
from tpl_lightning.config.runs import DataConfig
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.loading.splits import Splits, select_evaluation, split_videos
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError


def test_stored_split_and_action_filter(cache):
    splits = split_videos(VideoSet(cache), DataConfig())
    assert (len(splits.train), len(splits.val), len(splits.test)) == (6, 0, 2)
    only = split_videos(VideoSet(cache), DataConfig(actions=["turn"]))
    assert set(only.all().action) == {"turn"}
    assert only.all().video_id.tolist() == ["turn_1", "turn_3", "turn_5", "turn_7"]


@pytest.mark.parametrize("folds", [2, 3, 4])
def test_folds_partition_the_videos_within_each_action(cache, folds):
    tested = []
    for fold in range(folds):
        splits = split_videos(VideoSet(cache), DataConfig(folds=folds, fold=fold))
        assert not set(splits.train.video_id) & set(splits.test.video_id)
        assert len(splits.all()) == 8
        assert splits.test.actions == ["jump", "turn"]
        assert set(splits.test.split) == {"test"}
        tested += splits.test.video_id.tolist()
    assert sorted(tested) == sorted(cache.video_id.tolist())


@pytest.mark.parametrize(
    ("options", "named"),
    [({"actions": ["fly"]}, "fly"), ({"folds": 5}, "4 videos"), ({"actions": ["jump", "fly"]}, "fly")],
)
def test_what_cannot_be_split_is_named(cache, options, named):
    with pytest.raises(UserError, match=named):
        split_videos(VideoSet(cache), DataConfig(**options))


def test_an_action_needs_two_training_videos(tmp_path):
    path = write_cache(tmp_path / "x.h5", videos=5, split=["train", "train", "train", "test", "train"])
    with pytest.raises(UserError, match=r"'turn' has 1 training.*data.actions=\[jump\]"):
        split_videos(VideoSet(EmbeddingCache(path)), DataConfig())


def test_no_way_out_is_named_that_does_not_exist(tmp_path):
    path = write_cache(tmp_path / "x.h5", videos=3, actions=("jump",), split=["train", "test", "test"])
    with pytest.raises(UserError, match="'jump' has 1 training") as info:
        split_videos(VideoSet(EmbeddingCache(path)), DataConfig())
    assert "data.actions" not in str(info.value)
    with pytest.raises(UserError, match="use more folds"):
        split_videos(VideoSet(EmbeddingCache(path)), DataConfig(folds=2))


def test_evaluation_takes_the_test_split_or_all(cache, tmp_path):
    assert select_evaluation(VideoSet(cache), DataConfig()).split.tolist() == ["test", "test"]
    path = write_cache(tmp_path / "x.h5", split=["train"] * 8)
    assert len(select_evaluation(VideoSet(EmbeddingCache(path)), DataConfig())) == 8
    folded = select_evaluation(VideoSet(cache), DataConfig(folds=2, fold=1))
    assert np.array_equal(folded.video_id, split_videos(VideoSet(cache), DataConfig(folds=2, fold=1)).test.video_id)


def test_parts_that_are_not_given_are_empty(cache):
    videos = VideoSet(EmbeddingCache(cache.path))
    splits = Splits.of(test=videos)
    assert (len(splits.train), len(splits.val), splits.test) == (0, 0, videos)
    assert splits.all().video_id.tolist() == videos.video_id.tolist()
    with pytest.raises(ValueError, match="Expected `train`, `val` or `test`"):
        Splits.of()
