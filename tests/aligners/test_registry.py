"""Every method has its aligner, by itself or refined."""

from pathlib import Path
from typing import get_args

import pytest

from tpl_lightning.aligners import Aligner, RefinedAligner, build_aligner
from tpl_lightning.config import load_config
from tpl_lightning.config.runs import Method


@pytest.mark.parametrize("method", get_args(Method))
def test_every_method_has_an_aligner_and_all_but_direct_fits_can_be_refined(method):
    plain = build_aligner(load_config([f"method={method}", "refine=false"]), Path("runs/mine"))
    refined = build_aligner(load_config([f"method={method}", "refine=true"]), Path("runs/mine"))
    assert isinstance(plain, Aligner)
    assert not isinstance(plain, RefinedAligner)
    assert isinstance(refined, RefinedAligner) == (method not in ("direct", "tcc", "lav"))
