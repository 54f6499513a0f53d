"""The manifest of shards: what embeds, and of each clip its place in the cache."""

from dataclasses import replace

import numpy as np
import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.features.base import Extractor
from tpl_lightning.features.clips import Clip
from tpl_lightning.features.combined import CombinedExtractor
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.features.manifest import read_manifest, shard_key, stored_extractor, write_manifest
from tpl_lightning.labels import PhaseSpans


@pytest.fixture
def clip(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"12345")
    spans = PhaseSpans(((0.0, 4.0, 0),), "frames")
    return Clip("a", "jump", "train", tmp_path / "a.mp4", phases=spans)


def test_a_key_tells_files_extractors_and_rates_apart(clip):
    hog = HogExtractor(channels=4)
    keys = {
        shard_key(clip, hog, None),
        shard_key(clip, hog, 12.0),
        shard_key(clip, Extractor("vit", 4, {}), None),
        shard_key(replace(clip, image_fps=10.0), hog, None),
    }
    clip.path.write_bytes(b"123456")
    assert len({*keys, shard_key(clip, hog, None)}) == 5
    clip.path.unlink()
    with pytest.raises(UserError, match=r"Expected a video at .*a\.mp4, but it cannot be read"):
        shard_key(clip, hog, None)


def test_what_is_written_is_read(clip, tmp_path):
    names = {"dataset": "mine", "phase_names": {"jump": ["up"]}}
    write_manifest(tmp_path, [clip, replace(clip, phases=None)], ["k1", "k2"], HogExtractor(channels=4), names)
    found = read_manifest(tmp_path)
    assert found["names"] == names
    first, second = found["clips"]
    assert (first["key"], first["file_bytes"], first["path"]) == ("k1", 5, str(clip.path))
    assert first["phases"].num_phases == 1
    assert second["phases"] is None


def test_extractors_are_rebuilt_to_project_with(tmp_path, clip):
    rng = np.random.default_rng(0)
    video = rng.integers(0, 255, size=(12, 40, 40, 3), dtype=np.uint8)
    hog = HogExtractor(channels=4)
    features = hog.features(video)
    fitted = HogExtractor(channels=4).fit([features])
    network = Extractor("vit", 3, {"kind": "image model"})
    for extractor in (hog, fitted, CombinedExtractor([fitted, network], ["hog", "vit"])):
        write_manifest(tmp_path, [clip], ["k"], extractor, {})
        again = stored_extractor(read_manifest(tmp_path)["extractor"])
        assert (again.name, again.num_channels) == (extractor.name, extractor.num_channels)
        assert again.is_fitted == extractor.is_fitted
    write_manifest(tmp_path, [clip], ["k"], fitted, {})
    again = stored_extractor(read_manifest(tmp_path)["extractor"])
    np.testing.assert_allclose(again.transform(features), fitted.transform(features), atol=1e-5)


def test_a_folder_without_one_is_named(tmp_path):
    with pytest.raises(UserError, match=r"x\.h5\.shards: expected the shards of tpl cache embed out=.*x\.h5, but"):
        read_manifest(tmp_path / "x.h5.shards")
