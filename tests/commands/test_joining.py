"""``tpl cache join``: caches of the same videos by different extractors become one."""

import h5py
import pytest

from tests.commands.cache_info import info_rows
from tpl_lightning.__main__ import main
from tpl_lightning.config.stored import load_run_config


@pytest.fixture
def two(tmp_path, make_cache):
    """Return the paths of two caches of the same videos."""
    return [
        str(make_cache(tmp_path / f"{name}.h5", channels=count, frames=(24, 25)))
        for name, count in (("a", 6), ("b", 4))
    ]


def test_caches_are_joined_shown_and_fitted_with_the_groups_asked_for(two, tmp_path, capsys, monkeypatch):
    out = tmp_path / "ab.h5"
    assert main(["cache", "join", *two, f"out={out}", "progress=false"]) == 0
    assert capsys.readouterr().out == f"{out}: 8 videos, 192 frames, 10 channels, waves+waves\n"
    rows = info_rows(out, capsys, monkeypatch)
    assert rows["feature groups"] == ["waves 6, waves-2 4"]
    assert main(["cache", "validate", str(out)]) == 0
    assert capsys.readouterr().out.endswith("frames, feature groups waves 6, waves-2 4\n")
    options = ["method=direct", "run.figures=false", "run.progress=false", f"run.dir={tmp_path}", "select=none"]
    one = ["data.groups=[waves-2]", "run.name=one"]
    for cache, names in ((out, one), (two[1], ["run.name=alone"])):
        assert main(["fit", f"data.cache={cache}", *options, *names]) == 0
    with h5py.File(tmp_path / "one" / "alignment.h5") as found, h5py.File(tmp_path / "alone" / "alignment.h5") as alone:
        assert abs(found["prototype_position"][:] - alone["prototype_position"][:]).max() < 1e-4
    capsys.readouterr()
    # Other groups than those of the run are refused by name; the same are found by name.
    assert main(["test", str(tmp_path / "one"), f"data.cache={out}", f"run.dir={tmp_path}", "data.groups=null"]) == 2
    assert "data.groups=[waves-2]" in capsys.readouterr().err
    assert main(["test", str(tmp_path / "one"), f"data.cache={out}", f"run.dir={tmp_path}"]) == 0


def test_a_group_that_failed_is_left_out_of_a_fit_with_a_note(two, tmp_path, capsys):
    out = tmp_path / "ab.h5"
    main(["cache", "join", *two, f"out={out}", "progress=false"])
    with h5py.File(out, "r+") as file:
        values = file["embeddings"][:]
        values[: int(file["offsets"][1]), 6:] = 0
        file["embeddings"][:] = values
    with pytest.warns(UserWarning, match=r"'waves-2' does not change over time in 1 videos \('jump_0'\)"):
        assert main(["cache", "validate", str(out)]) == 0
    options = [f"data.cache={out}", "method=direct", "run.figures=false", "run.progress=false", f"run.dir={tmp_path}"]
    with pytest.warns(UserWarning, match="Only waves is used"):
        assert main(["fit", *options, "run.name=r"]) == 0
    assert load_run_config(tmp_path / "r" / "config.yaml").data.groups == ["waves"]
    assert main(["fit", *options, "data.groups=[waves,waves-2]"]) == 2
    assert "data.groups=[waves]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["a.h5", "out=c.h5"], "expected two caches or more"),
        (["a.h5", "b.h5"], "expected two caches or more"),
        (["a.h5", "a.h5", "out=c.h5"], "a.h5: given twice"),
        (["a.h5", "b.h5", "out=c.h5", "missing=ignore"], "expected one of refuse, drop"),
        (["a.h5", "b.h5", "out=b.h5", "overwrite=true"], "b.h5"),
        (["a.h5", "none.h5", "out=c.h5"], "none.h5: no such embedding cache"),
    ],
)
def test_wrong_joins_are_named(two, tmp_path, monkeypatch, capsys, arguments, named):
    monkeypatch.chdir(tmp_path)
    assert main(["cache", "join", *arguments]) == 2
    error = capsys.readouterr().err
    assert named in error
    assert error.count("\n") == 1
