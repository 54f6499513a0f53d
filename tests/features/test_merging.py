"""Shards become a cache: what is embedded, how often it is read, and what is missing is named."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.features.small_hog import SMALL, blobs
from tpl_lightning.data import EmbeddingCache
from tpl_lightning.errors import UserError
from tpl_lightning.features.base import Extractor
from tpl_lightning.features.clips import Clip
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.features.manifest import write_manifest
from tpl_lightning.features.merging import merge_shards
from tpl_lightning.features.shards import ShardFolder, VideoFeatures
from tpl_lightning.labels import PhaseSpans

NAMES = {"dataset": "d", "source": "s", "phase_names": {"jump": ["up", "down"]}, "dtype": "float32"}
NET = Extractor("net", 2, {"kind": "image-model", "model": "owner/net"})


def video(features, fps=10.0):
    count = len(features)
    return VideoFeatures(np.asarray(features, np.float32), np.arange(count) / fps, np.arange(count), fps)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "x.h5"


def prepare(out, extractor, found, **changes):
    """Lay down the shards of clips by key, the last one of the test split; None: not embedded yet."""
    clips = [Clip(key, "jump", "train", out.parent / f"{key}.mp4") for key in found]
    clips = [replace(clip, **changes.get(clip.video_id, {})) for clip in clips]
    clips[-1] = replace(clips[-1], split="test")
    for clip in clips:
        clip.path.write_bytes(b"12345")
    shards = ShardFolder(out)
    write_manifest(shards.path, clips, list(found), extractor, NAMES)
    for key, features in found.items():
        if features is not None:
            shards.add(key, features)


def test_features_of_a_network_are_the_embeddings(out):
    spans = PhaseSpans(((0.0, 2.0, 0), (2.0, float("inf"), 1)), "frames")
    rows = np.arange(12.0).reshape(6, 2)
    prepare(out, NET, {"a": video(rows), "b": video(rows[:3] + 1)}, a={"phases": spans, "num_frames": 4})
    cache = EmbeddingCache(merge_shards(out))
    assert (cache.extractor, cache.extractor_state()) == ("net", NET.state())
    assert (cache.video_id.tolist(), cache.split.tolist()) == (["a", "b"], ["train", "test"])
    np.testing.assert_array_equal(cache.read(0), rows[:4])  # what follows is not of the action
    np.testing.assert_allclose(cache.frame_times(0), np.arange(4) / 10)
    assert (cache.labels(0).tolist(), cache.labels(1).tolist()) == ([0, 0, 1, 1], [-1] * 3)
    assert (cache.fps.tolist(), cache.file_bytes.tolist()) == ([10.0, 10.0], [5, 5])
    assert not ShardFolder(out).path.exists()


def test_an_extractor_is_fitted_to_the_training_videos_which_are_read_once(out, monkeypatch):
    features = [HogExtractor(params=SMALL).features(blobs(9, seed=seed)) for seed in range(3)]
    prepare(out, HogExtractor(params=SMALL, channels=3), dict(zip("abc", map(video, features), strict=True)))
    reads, read = Counter(), ShardFolder.read
    monkeypatch.setattr(ShardFolder, "read", lambda self, key: reads.update([key]) or read(self, key))
    cache = EmbeddingCache(merge_shards(out))
    expected = HogExtractor(params=SMALL, channels=3).fit(features[:2])
    np.testing.assert_allclose(cache.read(2), expected.transform(features[2]), atol=1e-5)
    assert reads == {"a": 1, "b": 1, "c": 1}


def test_what_is_not_embedded_yet_is_named_and_nothing_is_lost(out):
    prepare(out, NET, {"a": video(np.eye(2)), "b": None})
    with pytest.raises(UserError, match=r"1 of 2 videos are not embedded yet \(.*b\.mp4"):
        merge_shards(out)
    assert (out.exists(), ShardFolder(out).done()) == (False, {"a"})
    with pytest.raises(UserError, match=r"none\.h5\.shards: expected the shards of tpl cache embed"):
        merge_shards(out.parent / "none.h5")


def test_broken_videos_are_refused_or_left_out(out):
    prepare(out, NET, {"a": video(np.eye(2)), "b": "b.mp4 is damaged"})
    with pytest.raises(UserError, match=r"1 of 2 videos cannot be embedded: b\.mp4 is damaged"):
        merge_shards(out)
    with pytest.warns(UserWarning, match=r"left out: 1 of 2 .* b\.mp4 is damaged"):
        assert EmbeddingCache(merge_shards(out, skip_broken=True)).video_id.tolist() == ["a"]
    prepare(out, NET, {"a": "a.mp4 is damaged"})
    with (
        pytest.warns(UserWarning, match="left out: 1 of 1"),
        pytest.raises(UserError, match="at least one video that can be embedded"),
    ):
        merge_shards(out, skip_broken=True)


def test_an_extractor_that_saw_nothing_is_named_with_its_videos(out):
    prepare(out, NET, {"a": video(np.zeros((3, 2))), "b": video(np.eye(2))})
    with pytest.warns(UserWarning, match=r"x\.h5: net sees nothing: its features are 0 in all frames: a$"):
        merge_shards(out)
