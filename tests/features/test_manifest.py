"""The manifest: what clips are to become, and the extractor to project with, come back as they were."""

import os
from dataclasses import replace

import numpy as np
import pytest

from tests.features.small_hog import SMALL, blobs
from tpl_lightning.errors import UserError
from tpl_lightning.features.base import Extractor
from tpl_lightning.features.clips import Clip
from tpl_lightning.features.combined import CombinedExtractor
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.features.manifest import read_manifest, shard_key, stored_extractor, write_manifest
from tpl_lightning.labels import PhaseSpans

NAMES = {"dataset": "d", "source": "s", "phase_names": {"jump": ["up", "down"]}, "dtype": "float32"}
NET = Extractor("net", 3, {"kind": "image-model", "model": "owner/net"})


@pytest.fixture
def clip(tmp_path):
    (tmp_path / "jump").mkdir()
    (tmp_path / "jump" / "a.mp4").write_bytes(b"1234567")
    spans = PhaseSpans(((0.0, 4.0, 0), (4.0, float("inf"), 1)), "frames")
    return Clip("a", "jump", "train", tmp_path / "jump" / "a.mp4", phases=spans, num_frames=9)


def through_a_file(folder, extractor, clips=()):
    write_manifest(folder, clips, ["k"] * len(clips), extractor, NAMES)
    return read_manifest(folder)


def test_clips_come_back_with_their_phases(tmp_path, clip):
    manifest = through_a_file(tmp_path, NET, [clip])
    (entry,) = manifest["clips"]
    assert manifest["names"] == NAMES
    assert (entry["key"], entry["video_id"], entry["split"], entry["num_frames"]) == ("k", "a", "train", 9)
    assert entry["file_bytes"] == 7
    assert entry["phases"].unit == "frames"
    assert [list(span) for span in entry["phases"].spans] == [list(span) for span in clip.phases.spans]


def test_networks_come_back_without_their_weights(tmp_path):
    again = stored_extractor(through_a_file(tmp_path, NET)["extractor"])
    assert (again.name, again.num_channels, again.state(), again.is_fitted) == ("net", 3, NET.state(), True)


def test_hog_comes_back_fitted_or_yet_to_be_fitted(tmp_path):
    features = HogExtractor(params=SMALL).features(blobs(12))
    hog = HogExtractor(params=SMALL, channels=3)
    again = stored_extractor(through_a_file(tmp_path, hog)["extractor"])
    assert (again.params, again.num_channels, again.is_fitted) == (SMALL, 3, False)
    hog.fit([features])
    again = stored_extractor(through_a_file(tmp_path, hog)["extractor"])
    np.testing.assert_array_equal(again.transform(features), hog.transform(features))


def test_parts_come_back_with_the_names_of_their_groups(tmp_path):
    both = CombinedExtractor([HogExtractor(params=SMALL, channels=3), NET], ["shape", "net"])
    again = stored_extractor(through_a_file(tmp_path, both)["extractor"])
    assert (again.feature_groups, again.is_fitted) == ([("shape", 3), ("net", 3)], False)


def test_keys_follow_what_decides_the_features(clip):
    key = shard_key(clip, NET, None)
    assert key == shard_key(replace(clip, video_id="b", split="test", phases=None), NET, None)
    assert len({key, shard_key(clip, NET, 12.0), shard_key(clip, Extractor("other", 3, {}), None)}) == 3
    os.utime(clip.path, (1, 1))
    assert shard_key(clip, NET, None) != key
    clip.path.unlink()
    with pytest.raises(UserError, match=r"Expected a video at .*a\.mp4, but it cannot be read"):
        shard_key(clip, NET, None)


@pytest.mark.parametrize("text", [None, "{", "{}", '{"clips": [{}]}'])
def test_what_is_no_manifest_is_named_with_the_command_that_writes_it(tmp_path, text):
    folder = tmp_path / "x.h5.shards"
    folder.mkdir()
    if text is not None:
        (folder / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"x\.h5\.shards: expected the shards of tpl cache embed out=.*x\.h5, but"):
        read_manifest(folder)
