"""``tpl cache``: what it tells about a cache, and how it refuses."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests.commands.cache_info import info_rows
from tpl_lightning.__main__ import main
from tpl_lightning.commands.cache import main as cache_command
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.errors import UserError


def test_info_tells_what_a_cache_holds(tmp_path, make_cache, capsys, monkeypatch):
    split = ["train", "train", "val", "test"] * 2
    path = make_cache(tmp_path / "tiny.h5", split=split, frames=(20, 21), channels=5)
    rows = info_rows(path, capsys, monkeypatch)
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
    rows = info_rows(make_cache(tmp_path / "u.h5", labels=False), capsys, monkeypatch)
    assert (rows["labels"], rows["jump"][-1]) == (["none"], "-")
    path = tmp_path / "b.h5"
    phases = {"[red]": ["[up]", "[/down]"]}
    with EmbeddingCacheWriter(path, dataset="[d]", extractor="e", source="[s]", phase_names=phases) as writer:
        writer.append(video_id="a", action="[red]", split="train", embeddings=[[0.0], [1.0]], labels=[0, -1])
    rows = info_rows(path, capsys, monkeypatch)
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


def test_help_needs_no_torch_and_neither_doesinfo_rows(cache_path, capsys):
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


def test_cache_info_and_validate(cache_path, capsys):
    assert main(["cache", "info", str(cache_path)]) == 0
    printed = capsys.readouterr().out
    for text in ("waves", "8", "jump", "turn", "6 train", "begin > middle > end", "fingerprint"):
        assert text in printed, text
    assert main(["cache", "validate", str(cache_path)]) == 0
    with h5py.File(cache_path, "r+") as file:
        file["embeddings"][5] = np.nan
    assert main(["cache", "validate", str(cache_path)]) == 2
    assert "jump_0" in capsys.readouterr().err
