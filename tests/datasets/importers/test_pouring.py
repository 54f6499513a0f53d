"""Pouring: TFRecords of the same layout."""

import pytest

from tpl_lightning.__main__ import main
from tpl_lightning.data.cache.reader import EmbeddingCache

pytest.importorskip("google_crc32c")
pytest.importorskip("av")


QUICK = ["channels=3", "num_workers=0", "progress=false"]


def test_pouring(pouring, tmp_path):
    out = tmp_path / "p.h5"
    assert main(["cache", "import", "pouring", str(pouring), f"out={out}", *QUICK]) == 0
    cache = EmbeddingCache(out)
    cache.validate()
    assert cache.video_id.tolist() == ["a to b", "b to a", "c to b", "b to c"]
    assert cache.split.tolist() == ["train"] * 3 + ["test"]
    assert cache.phase_names == {"pouring": ["reach", "pour", "put back"]}
    assert cache.labels(1).tolist() == [0] * 3 + [1] * 4 + [2] * 2
