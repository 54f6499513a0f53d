"""Extractors: tiny networks that the tests make, and what a cache says about the one that made it."""

import shutil

import numpy as np
import pytest

from tests.run_factory import read_video
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.errors import UserError
from tpl_lightning.features.extractors import embed_video, extractor_of_cache, make_extractor
from tpl_lightning.features.gradients import HogParams
from tpl_lightning.features.hog import HogExtractor

pytest.importorskip("av")


def write(path, extractor, embeddings):
    with EmbeddingCacheWriter(
        path, dataset="d", extractor=extractor.name, source="s", phase_names={}, dtype="float32"
    ) as writer:
        writer.append(video_id="a", action="b", split="train", embeddings=embeddings, fps=24.0)
        writer.set_extractor_state(*extractor.state())
    return EmbeddingCache(path)


def test_a_cache_embeds_new_videos_alike(tmp_path, video, dinov2, vit):
    hog = HogExtractor(params=HogParams(size=32, cell=8, block=2, orientations=6), channels=5)
    hog.fit([hog.features(read_video(video)[0])])
    for number, extractor in enumerate((hog, make_extractor(dinov2), make_extractor(vit))):
        cache = write(tmp_path / f"{number}.h5", extractor, embed_video(video, extractor)[0])
        again = extractor_of_cache(cache)
        assert again.num_channels == cache.num_channels
        np.testing.assert_allclose(embed_video(video, again)[0], cache.read(0), atol=1e-5)


def test_a_cache_that_does_not_say_what_made_it_is_named(cache):
    with pytest.raises(UserError, match=r"tiny\.h5: it does not hold the extractor 'waves'"):
        extractor_of_cache(cache)


def test_a_model_folder_that_has_moved_is_named(tmp_path, dinov2, monkeypatch):
    folder = tmp_path / "moved"
    for name in (str(folder), "./moved", "some/where/moved", "~/moved"):
        with pytest.raises(UserError, match=r"moved, but there is no such folder; put the model there") as error:
            make_extractor(name)
        assert "hf download" not in str(error.value)
    shutil.copytree(dinov2, folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert make_extractor("~/moved").name == "moved"
    cache = write(tmp_path / "x.h5", make_extractor(str(folder)), np.zeros((3, 32), np.float32))
    shutil.rmtree(folder)
    with pytest.raises(UserError, match=r"x\.h5: its extractor 'moved' cannot be used: .* no such folder"):
        extractor_of_cache(cache)
