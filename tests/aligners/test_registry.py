"""Every method has its aligner, and a refined one keeps both."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tpl_lightning.aligners import Aligner, RefinedAligner, build_aligner, load_aligner
from tpl_lightning.config import load_config
from tpl_lightning.config.runs import Method
from tpl_lightning.data import EmbeddingCache, VideoSet
from tpl_lightning.errors import UserError


@pytest.mark.parametrize("method", get_args(Method))
def test_every_method_has_an_aligner_and_all_but_direct_fits_can_be_refined(method):
    plain = build_aligner(load_config([f"method={method}", "refine=false"]), Path("runs/mine"))
    refined = build_aligner(load_config([f"method={method}", "refine=true"]), Path("runs/mine"))
    assert isinstance(plain, Aligner)
    assert not isinstance(plain, RefinedAligner)
    assert isinstance(refined, RefinedAligner) == (method not in ("direct", "tcc", "lav"))


@pytest.mark.parametrize("method", ["linear", "pad"])
def test_refinement_wraps_aligners_that_keep_no_checkpoint(tmp_path, make_cache, method):
    videos = VideoSet(EmbeddingCache(make_cache(tmp_path / "c.h5", videos=8)))
    config = load_config([f"method={method}", "refine=true", "data.pca=4"])
    aligner = build_aligner(config, tmp_path)
    aligner.fit(videos)
    again = load_aligner(tmp_path / "checkpoints" / "last.ckpt", config)
    np.testing.assert_array_equal(again.align(videos).prototype_position, aligner.align(videos).prototype_position)
    assert again.base.prototype_length == aligner.base.prototype_length
    with pytest.raises(UserError, match=f"method={method} keeps no checkpoint"):
        load_aligner(tmp_path / "last.ckpt", load_config([f"method={method}"]))
