"""Shards of all processes become one cache."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.features.small_hog import SMALL, blobs
from tests.features.small_runs import Counting, run
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError
from tpl_lightning.features.base import Extractor
from tpl_lightning.features.clips import Clip
from tpl_lightning.features.extractors import make_extractor
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.features.manifest import write_manifest
from tpl_lightning.features.merging import merge_shards
from tpl_lightning.features.shards import ShardFolder, VideoFeatures
from tpl_lightning.labels import PhaseSpans

pytest.importorskip("av")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_processes_share_the_work_and_merge_without_loss(folder, tmp_path, monkeypatch, order):
    out, seen = tmp_path / "x.h5", []
    for rank in order:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "3")
        made = run(folder, out, counting := Counting())
        seen.append(counting.seen)
    assert sorted(seen) == [2, 2, 3]
    if order[-1] == 0:
        assert made == out
    else:  # the first process could not know when the others would be done
        assert made is None
        with pytest.raises(UserError, match="shards: expected"):
            merge_shards(tmp_path / "no x.h5")
        merge_shards(out)
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    assert EmbeddingCache(out).fingerprint() == EmbeddingCache(run(folder, tmp_path / "y.h5")).fingerprint()


def test_merging_too_early_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    run(folder, tmp_path / "x.h5")
    with pytest.raises(UserError, match="4 of 7 videos are not embedded yet"):
        merge_shards(tmp_path / "x.h5")
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(UserError, match="RANK=2 WORLD_SIZE=2"):
        run(folder, tmp_path / "x.h5")


def test_shards_of_a_network_are_merged_without_its_weights(folder, tmp_path, dinov2, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        run(folder, tmp_path / "x.h5", make_extractor(dinov2))
    monkeypatch.setattr("tpl_lightning.features.extractors.make_extractor", None)
    cache = EmbeddingCache(merge_shards(tmp_path / "x.h5"))
    assert (cache.extractor, cache.extractor_state()[1]["model"]) == ("tiny-dinov2", dinov2)


@pytest.mark.slow
def test_torchrun(folder, tmp_path):
    options = [f"out={tmp_path / 'x.h5'}", "channels=4", "num_workers=0"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    subprocess.run([*command, "tpl_lightning", "cache", "embed", str(folder), *options], check=True, timeout=120)
    # torchrun gives each process one thread, and components found by several are rounded otherwise.
    with threadpool_limits(1):
        expected = EmbeddingCache(run(folder, tmp_path / "y.h5"))
    made = EmbeddingCache(tmp_path / "x.h5")
    assert made.video_id.tolist() == expected.video_id.tolist()
    for index in range(len(expected)):
        np.testing.assert_array_equal(made.read(index), expected.read(index))


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
