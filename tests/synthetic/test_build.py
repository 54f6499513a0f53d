"""The procedural set: the same bits each time, whoever draws it."""

import numpy as np
import pytest

from tests.run_factory import read_video
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.synthetic import PHASE_NAMES, clip_specs, render_clip
from tpl_lightning.synthetic.build import build_procedural_set, video_path

SMALL = {"num_clips": 6, "actions": ("pullups", "dips"), "size": 48, "channels": 8, "progress": False}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A small set, its videos and its cache, made by two processes."""
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("procedural")
    out = build_procedural_set(folder / "set.h5", video_dir=folder / "videos", num_workers=2, **SMALL)
    return EmbeddingCache(out), folder / "videos"


def test_cache_holds_specifications_and_truth(built):
    cache, _ = built
    cache.validate()
    specs = clip_specs(SMALL["num_clips"], actions=SMALL["actions"])
    assert cache.is_procedural
    assert cache.extractor == "hog-pca8"
    assert cache.phase_names == {action: PHASE_NAMES[action] for action in SMALL["actions"]}
    assert cache.video_id.tolist() == [spec.video_id for spec in specs]
    assert cache.split.tolist() == [spec.split for spec in specs]
    assert cache.lengths.tolist() == [spec.num_frames for spec in specs]
    assert set(cache.fps.tolist()) == {24.0}
    clip = render_clip(specs[2], size=SMALL["size"])
    np.testing.assert_array_equal(cache.progress(2), clip.progress)
    np.testing.assert_array_equal(cache.labels(2), clip.phases)
    np.testing.assert_array_equal(cache.frame_times(2), np.arange(specs[2].num_frames) / 24)


def test_result_does_not_depend_on_workers(built, tmp_path):
    cache, _ = built
    other = EmbeddingCache(build_procedural_set(tmp_path / "other.h5", num_workers=1, **SMALL))
    assert other.source == cache.source
    assert other.fingerprint() == cache.fingerprint()
    for index in range(len(cache)):
        np.testing.assert_array_equal(other.read(index), cache.read(index))


def test_a_rendered_video_embeds_as_in_the_cache(built):
    """Only compression lies between the two: far less than between the poses of the action."""
    cache, videos = built
    extractor = HogExtractor.from_state(*cache.extractor_state())
    specs = clip_specs(SMALL["num_clips"], actions=SMALL["actions"])
    for index in (0, len(specs) - 1):
        frames, fps = read_video(video_path(videos, specs[index]))
        again, stored = extractor(frames), cache.read(index)
        assert fps == 24.0
        assert again.shape == stored.shape
        difference = np.linalg.norm(again - stored, axis=1).mean()
        assert difference < 0.25 * np.linalg.norm(stored - stored.mean(axis=0), axis=1).mean()
        nearest = np.linalg.norm(again[:, None] - stored, axis=-1).argmin(axis=1)
        assert np.abs(nearest - np.arange(len(stored))).mean() < 1.5  # frames


def test_missing_pyav_leaves_out_the_videos(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("tpl_lightning.synthetic.build.has_pyav", lambda: False)
    options = {**SMALL, "num_clips": 2, "actions": ("dips",), "size": 16, "channels": 4}
    out = build_procedural_set(tmp_path / "set.h5", video_dir=tmp_path / "videos", num_workers=0, **options)
    assert len(EmbeddingCache(out)) == 2
    assert not (tmp_path / "videos").exists()
    assert "PyAV is missing" in caplog.text


def test_too_many_channels_are_lowered(tmp_path):
    options = {**SMALL, "num_clips": 2, "actions": ("dips",), "size": 16, "channels": 100_000}
    with pytest.warns(UserWarning, match="in place of 100000"):
        build_procedural_set(tmp_path / "set.h5", num_workers=0, **options)
    assert EmbeddingCache(tmp_path / "set.h5").num_channels < 100_000
