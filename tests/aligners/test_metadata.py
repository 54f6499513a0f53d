"""What an aligner asks of videos that it has not seen."""

import numpy as np
import pytest

from tpl_lightning.aligners.metadata import check_videos, dataset_metadata
from tpl_lightning.data.cache.groups import FeatureGroup
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError


def write(path, *groups):
    with EmbeddingCacheWriter(
        path, dataset="d", extractor="e", source="s", phase_names={}, feature_groups=groups
    ) as writer:
        for name in "xy":
            values = np.random.default_rng(0).normal(size=(9, sum(group.channels for group in groups)))
            writer.append(video_id=name, action="a", split="train", embeddings=values)
    return VideoSet(EmbeddingCache(path))


A, B = FeatureGroup("a", 2), FeatureGroup("b", 3)


def test_other_groups_than_those_of_the_checkpoint_are_named(tmp_path):
    metadata = dataset_metadata(write(tmp_path / "ab.h5", A, B), 5)
    check_videos(write(tmp_path / "again.h5", A, B), metadata)
    swapped = write(tmp_path / "ba.h5", B, A)
    with pytest.raises(UserError, match=r"ba.h5: feature groups b \(3 channels\) \+ a \(2 channels\), but.*\[a,b\]"):
        check_videos(swapped, metadata)
    check_videos(VideoSet(swapped.cache.choose(["a", "b"])), metadata)


def test_checkpoints_that_know_no_groups_go_by_the_number_of_channels(tmp_path):
    metadata = dataset_metadata(write(tmp_path / "one.h5", FeatureGroup("c", 5)), 5)
    del metadata["feature_groups"]
    check_videos(write(tmp_path / "other.h5", FeatureGroup("d", 5)), metadata)
    with pytest.raises(UserError, match="4 channels per frame, but the checkpoint was trained on 5"):
        check_videos(write(tmp_path / "fewer.h5", FeatureGroup("c", 4)), metadata)
