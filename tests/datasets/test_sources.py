"""Where the embeddings of a data set are found: by name, by what a cache says of itself, or rendered."""

import pytest

from tests.conftest import write_cache
from tpl_lightning import synthetic
from tpl_lightning.config import DataConfig
from tpl_lightning.data import EmbeddingCache
from tpl_lightning.datasets import find_or_make_cache
from tpl_lightning.errors import UserError


def _data(root, **options):
    return DataConfig(root=str(root), **options)


def test_a_cache_is_found_by_its_name_before_any_other(tmp_path):
    exact = write_cache(tmp_path / "tiny.h5")
    write_cache(tmp_path / "deep" / "tiny_dinov2.h5")
    assert find_or_make_cache(_data(tmp_path, dataset="tiny")) == exact


@pytest.mark.parametrize("name", ["swing_dinov2.h5", "swing-hog.h5", "deep/er/SWING_x.h5"])
def test_a_cache_is_found_by_how_its_name_begins(tmp_path, name):
    found = write_cache(tmp_path / name)
    write_cache(tmp_path / "swings.h5")  # of another set
    assert find_or_make_cache(_data(tmp_path, dataset="swing")) == found


def test_a_cache_of_another_name_is_found_by_what_it_says(tmp_path):
    found = write_cache(tmp_path / "deep" / "x.h5")  # data set "tiny"
    (tmp_path / "broken.h5").write_bytes(b"no HDF5")
    assert find_or_make_cache(_data(tmp_path, dataset="tiny")) == found


def test_several_caches_of_a_set_are_named_and_none_is_chosen(tmp_path):
    for name in ("swing_a.h5", "swing_b.h5"):
        write_cache(tmp_path / name)
    for made in ("procedural", "embedded"):  # are the project's own
        write_cache(tmp_path / made / "swing_c.h5")
    with pytest.raises(UserError, match=r"several caches of 'swing' \(\S*swing_a\.h5, \S*swing_b\.h5\); name one with"):
        find_or_make_cache(_data(tmp_path, dataset="swing"))


def test_nothing_there_is_said_with_the_places_looked_at(tmp_path):
    with pytest.raises(UserError, match=r"nothing of data set 'swing' there; put an embedding cache at \S*swing\.h5"):
        find_or_make_cache(_data(tmp_path, dataset="swing"))
    with pytest.raises(UserError, match="nothing of data set 'swing' there"):
        find_or_make_cache(_data(tmp_path / "missing", dataset="swing"))


def test_a_named_cache_is_found_from_here_and_from_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_cache(tmp_path / "data" / "c.h5")
    assert find_or_make_cache(_data("data", cache="c.h5")).resolve() == tmp_path / "data" / "c.h5"
    here = write_cache(tmp_path / "c.h5")
    assert find_or_make_cache(_data("data", cache="c.h5")).resolve() == here


def test_rendered_clips_stand_in_for_genai_and_are_rendered_once(tmp_path, monkeypatch):
    calls = []

    def render(out, *, video_dir, progress):
        calls.append(video_dir)
        write_cache(out)

    monkeypatch.setattr(synthetic, "build_procedural_set", render)
    for _ in range(2):
        found = find_or_make_cache(_data(tmp_path / "new", dataset="genai"), progress=False)
        assert found == tmp_path / "new" / "procedural" / "genai.h5"
        assert len(EmbeddingCache(found)) == 8
    assert calls == [tmp_path / "new" / "procedural" / "videos"]


def test_training_finds_a_data_set_as_it_is_handed_out(pouring, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "tpl_lightning.features.hog.HogExtractor.__init__.__kwdefaults__", {"params": None, "channels": 3}
    )
    data = _data(tmp_path, dataset="pouring")
    path = find_or_make_cache(data, progress=False)
    assert path.parent == tmp_path / "embedded"
    cache = EmbeddingCache(path)
    assert (len(cache), cache.dataset, cache.has_labels) == (4, "pouring", True)
    changed = path.stat().st_mtime_ns
    assert find_or_make_cache(data, progress=False) == path
    assert path.stat().st_mtime_ns == changed
