"""Layouts by name, from a folder to a cache."""

import numpy as np
import pytest

from tests.datasets.signals.recordings import LENGTHS
from tests.datasets.signals.tables import import_tables, write_pair
from tests.signal_factory import body, with_likelihood, write_deeplabcut_csv
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.datasets.signals.registry import SIGNALS, import_signals
from tpl_lightning.errors import UserError


def test_names_labels_and_rate_in_the_cache(tmp_path):
    for name, length in LENGTHS.items():
        write_deeplabcut_csv(tmp_path / "s" / "reach" / f"{name}DLC_net.csv", with_likelihood(body(length, 0.3)))
    (tmp_path / "s" / "annotations.csv").write_text("video_id,phase,start_s,end_s\none,up,0,0.2\none,down,0.2,0.4\n")
    with pytest.warns(UserWarning, match="30 is taken"):
        import_signals("deeplabcut", tmp_path / "s", tmp_path / "o.h5", dataset="s", progress=False)
    cache = EmbeddingCache(tmp_path / "o.h5")
    assert (cache.video_id.tolist(), cache.fps.tolist()) == (["one", "two"], [30, 30])
    np.testing.assert_array_equal(cache.labels(0), [0] * 6 + [1] * 6)


@pytest.mark.parametrize("layout", sorted(SIGNALS))
def test_a_missing_folder_is_named_with_the_tree_that_is_expected(tmp_path, layout):
    with pytest.raises(UserError) as error:
        import_signals(layout, tmp_path / "nowhere", tmp_path / "o.h5", dataset="s", progress=False)
    assert str(tmp_path / "nowhere") in str(error.value)
    assert SIGNALS[layout].expected in str(error.value)


def test_only_robots_have_cameras(tmp_path):
    write_pair(tmp_path / "set")
    with pytest.raises(UserError, match="camera=top: only lerobot has cameras"):
        import_tables(tmp_path / "set", camera="top")


def test_the_cache_says_where_it_comes_from_and_has_the_wanted_type(tmp_path):
    write_pair(tmp_path / "set")
    cache = import_tables(tmp_path / "set", fps=25, dtype="float16")
    assert (cache.dataset, cache.source, cache.dtype) == ("s", "csv: 2 recordings of set", np.float16)
