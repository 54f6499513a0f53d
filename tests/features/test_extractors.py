"""Extractors: tiny networks that the tests make, and what a cache says about the one that made it."""

import numpy as np
import pytest

from tests.features.small_runs import write
from tests.run_factory import read_video
from tpl_lightning.errors import UserError
from tpl_lightning.features.extractors import embed_video, extractor_of_cache, make_extractor
from tpl_lightning.features.gradients import HogParams
from tpl_lightning.features.hog import HogExtractor

pytest.importorskip("av")


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
