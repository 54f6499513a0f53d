"""Caches and runs by their paths."""

import pytest

from tests.conftest import write_cache
from tests.run_factory import make_run
from tpl_lightning.api.loading import load_cache, load_run
from tpl_lightning.errors import FileError


def test_caches_by_path_or_pattern(tmp_path):
    path = write_cache(tmp_path / "a.h5")
    write_cache(tmp_path / "b.h5", actions=("hop", "run"))
    assert len(load_cache(path)) == 8
    both = load_cache(str(tmp_path / "*.h5"))
    assert (len(both), sorted(set(both.action))) == (16, ["hop", "jump", "run", "turn"])
    with pytest.raises(FileError, match=r"none.h5: no such embedding cache"):
        load_cache(tmp_path / "none.h5")


def test_runs_whose_cache_may_have_moved(tmp_path):
    folder = make_run(tmp_path, files=False)
    run = load_run(folder)
    assert (run.actions, len(run.cache)) == (["jump"], 4)
    (tmp_path / "cache.h5").rename(tmp_path / "moved.h5")
    with pytest.raises(FileError, match="say where it is with cache=PATH"):
        _ = load_run(folder).cache
    assert len(load_run(folder, cache=tmp_path / "moved.h5").cache) == 4
    with pytest.raises(FileError, match="no such run directory"):
        load_run(tmp_path / "none")
