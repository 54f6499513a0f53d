"""Experiments of the package are found by name from any folder; a file that is there goes first."""

from pathlib import Path

import pytest

from tests.conftest import write_cache
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.packaged import find_yaml
from tpl_lightning.datasets.sources import find_or_make_cache
from tpl_lightning.errors import UserError
from tpl_lightning.sweep.definition import read_sweep


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.mark.parametrize("name", ["penn_action", "penn_action.yaml", "experiments/penn_action.yaml"])
def test_packaged_experiments_are_found_by_name(elsewhere, name):
    assert load_config([name]).data.dataset == "penn_action"


@pytest.mark.parametrize("name", ["genai_bayes", "experiments/sweeps/genai_bayes.yaml", "sweeps/genai_bayes"])
def test_packaged_sweeps_are_found_by_name(elsewhere, name):
    assert read_sweep(Path(name)).method == "bayes"


def test_files_that_are_there_go_first(elsewhere):
    Path("experiments").mkdir()
    for name in ("genai", "experiments/genai.yaml"):
        Path(name).write_text("seed: 7\n")
        assert load_config([name]).seed == 7


@pytest.mark.parametrize("name", ["nope", "experiments", "/genai", "../genai", "experiments/../genai"])
def test_what_is_no_packaged_name_is_left_as_it_is(elsewhere, name):
    assert find_yaml(Path(name)) == Path(name)


def test_what_is_not_there_is_said_with_what_is(elsewhere):
    with pytest.raises(UserError, match=r"nope: no such configuration file.*genai, .*penn_action"):
        load_config(["nope"])
    with pytest.raises(UserError, match=r"nope: no such configuration file; .*one of the package: genai, genai_bayes"):
        read_sweep(Path("nope"))


def test_a_cache_is_found_from_the_file_that_names_it_and_from_the_root(elsewhere):
    (elsewhere / "sets" / "data").mkdir(parents=True)
    cache = write_cache(elsewhere / "sets" / "data" / "c.h5")
    written = elsewhere / "sets" / "mine.yaml"
    written.write_text("data: {cache: data/c.h5}\n")
    assert Path(load_config([str(written)]).data.cache).resolve() == cache
    written.write_text("data: {cache: data/*.h5}\n")
    assert load_config([str(written)]).data.cache == str(elsewhere / "sets" / "data" / "*.h5")
    under = load_config([f"data.root={elsewhere / 'sets'}", "data.cache=data/c.h5"]).data
    assert find_or_make_cache(under) == cache
    Path("data").mkdir()
    here = write_cache(Path("data") / "c.h5")
    assert find_or_make_cache(under) == here  # the working directory goes first
    written.write_text("data: {cache: data/c.h5}\n")
    assert load_config([str(written)]).data.cache == "data/c.h5"
    assert find_or_make_cache(load_config(["data.cache=none.h5"]).data) == Path("none.h5")  # is said where it is opened
