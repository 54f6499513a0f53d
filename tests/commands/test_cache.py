"""``tpl cache``: what it tells about a cache, and how it refuses."""

import subprocess
import sys

import h5py
import pytest

from tpl_lightning.__main__ import main
from tpl_lightning.commands.cache import main as cache_command
from tpl_lightning.config.stored import load_run_config
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.errors import UserError


def _info(path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["cache", "info", str(path)]) == 0
    # Cells of each row of the tables, without borders.
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    return {row[0]: row[1:] for row in rows if row}


def test_info_tells_what_a_cache_holds(tmp_path, make_cache, capsys, monkeypatch):
    split = ["train", "train", "val", "test"] * 2
    path = make_cache(tmp_path / "tiny.h5", split=split, frames=(20, 21), channels=5)
    rows = _info(path, capsys, monkeypatch)
    expected = {
        "dataset": "tiny",
        "extractor": "waves",
        "source": "made by a test",
        "videos": "8",
        "frames": "160",
        "channels": "5 (float16)",
        "lengths": "20 to 20 frames, median 20",
        "frames per second": "25",
        "labels": "100.0% of the frames",
        "true progress": "yes",
        "splits": "4 train, 2 val, 2 test",
        "fingerprint": EmbeddingCache(path).fingerprint(),
    }
    assert {name: rows[name][0] for name in expected} == expected
    assert rows["jump"] == ["2", "2", "0", "20", "begin > middle > end"]
    assert rows["turn"] == ["2", "0", "2", "20", "begin > middle > end"]


def test_info_without_labels_and_with_names_in_brackets(tmp_path, make_cache, capsys, monkeypatch):
    rows = _info(make_cache(tmp_path / "u.h5", labels=False), capsys, monkeypatch)
    assert (rows["labels"], rows["jump"][-1]) == (["none"], "-")
    path = tmp_path / "b.h5"
    phases = {"[red]": ["[up]", "[/down]"]}
    with EmbeddingCacheWriter(path, dataset="[d]", extractor="e", source="[s]", phase_names=phases) as writer:
        writer.append(video_id="a", action="[red]", split="train", embeddings=[[0.0], [1.0]], labels=[0, -1])
    rows = _info(path, capsys, monkeypatch)
    assert (rows["dataset"], rows["source"], rows["labels"]) == (["[d]"], ["[s]"], ["50.0% of the frames"])
    assert rows["[red]"] == ["1", "0", "0", "2", "[up] > [/down]"]


def test_validate_says_yes_or_names_what_is_wrong(cache_path, capsys):
    frames = int(EmbeddingCache(cache_path).offsets[-1])
    assert main(["cache", "validate", str(cache_path)]) == 0
    assert capsys.readouterr().out == f"{cache_path}: valid, 8 videos, {frames} frames\n"
    with h5py.File(cache_path, "r+") as file:
        file["embeddings"][int(file["offsets"][2]) + 4, 1] = float("nan")
    assert main(["cache", "validate", str(cache_path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"tpl: error: {cache_path}: video 'jump_2', frame 4: ")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["look"], "look: unknown; there are: info, validate, embed, import, merge, join"),
        (["info"], "expected one path"),
        (["validate", "a.h5", "b.h5"], "expected one path"),
        (["info", "none.h5"], "none.h5: no such embedding cache"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(UserError, match=named):
        cache_command(arguments)


def test_help_needs_no_torch_and_neither_does_info(cache_path, capsys):
    assert main(["cache", "--help"]) == 0
    assert "tpl cache validate PATH" in capsys.readouterr().out
    code = (
        "import sys; from tpl_lightning.__main__ import main; "
        f"assert main(['cache', 'info', {str(cache_path)!r}]) == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_output_that_nobody_reads_is_no_failure(cache_path):
    command = f"{sys.executable} -m tpl_lightning cache info cache={cache_path} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


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
    rows = _info(out, capsys, monkeypatch)
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
