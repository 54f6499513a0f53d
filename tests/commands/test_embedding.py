"""``tpl cache embed``: from the command line to a cache, and how it refuses."""

import json

import numpy as np
import pytest

from tpl_lightning.__main__ import main
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.video.files import write_video

pytest.importorskip("av")

QUICK = ["channels=3", "num_workers=0", "progress=false"]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(3):
        frames = rng.integers(0, 256, size=(6 + number, 32, 32, 3)).astype(np.uint8)
        write_video(tmp_path / "clips" / "hop" / f"hop_{number}.mp4", frames, 24.0)
    return tmp_path / "clips"


def test_a_folder_becomes_a_cache(folder, tmp_path, capsys):
    out = tmp_path / "new" / "hops.h5"
    assert main(["cache", "embed", str(folder), f"out={out}", *QUICK]) == 0
    assert capsys.readouterr().out == f"{out}: 3 videos, 21 frames, 3 channels, hog-pca3\n"
    assert EmbeddingCache(out).dataset == "hops"
    assert main(["cache", "embed", str(folder), f"out={out}", *QUICK]) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert main(["cache", "embed", str(folder), f"out={out}", "overwrite=true", "fps=12", *QUICK]) == 0
    assert EmbeddingCache(out).lengths.tolist() == [3, 4, 4]


def test_annotations_label_the_frames(folder, tmp_path):
    clips = {"hop_1": {"action": "hop", "events": [4], "split": "test"}}
    (tmp_path / "a.json").write_text(json.dumps({"phases": {"hop": ["up", "down"]}, "clips": clips}))
    options = [f"out={tmp_path / 'x.h5'}", f"annotations={tmp_path / 'a.json'}", "dataset=hops", *QUICK]
    assert main(["cache", "embed", str(folder), *options]) == 0
    cache = EmbeddingCache(tmp_path / "x.h5")
    cache.validate()
    assert (cache.dataset, cache.phase_names) == ("hops", {"hop": ["up", "down"]})
    assert cache.labels(1).tolist() == [0] * 4 + [1] * 3
    assert cache.split[1] == "test"


def test_a_broken_file_gives_one_line_and_can_be_left_out(folder, tmp_path, capsys):
    (folder / "hop" / "hop_9.mp4").write_bytes(b"nothing")
    command = ["cache", "embed", str(folder), f"out={tmp_path / 'x.h5'}", *QUICK]
    assert main(command) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "hop_9.mp4" in shown.err
    with pytest.warns(UserWarning, match=r"left out: .*hop_9\.mp4"):
        assert main([*command, "skip_broken=true"]) == 0
    assert len(EmbeddingCache(tmp_path / "x.h5")) == 3


def test_shards_are_merged_by_command(folder, tmp_path, capsys, monkeypatch):
    out = tmp_path / "x.h5"
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        assert main(["cache", "embed", str(folder), f"out={out}", *QUICK]) == 0
        assert f"tpl cache merge {out}" in capsys.readouterr().out
    assert main(["cache", "merge", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 3 videos, 21 frames, 3 channels, hog-pca3\n"
    assert main(["cache", "merge", str(out)]) == 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["embed"], "expected videos"),
        (["embed", "clips"], "expected where to write"),
        (["embed", "nowhere", "out=x.h5"], "nowhere"),
        (["embed", "nowhere.csv", "out=x.h5"], "no such list"),
        (["embed", "clips", "out=x.npz"], "ends in .h5"),
        (["embed", "clips", "out=x.h5", "dtype=int8"], "expected one of float16, float32"),
        (["embed", "clips", "out=x.h5", "fps=0"], "positive `fps`"),
        (["embed", "clips", "out=x.h5", "fps=.nan"], "positive `fps`"),
        (["embed", "clips", "out=x.h5", "fps=fast"], "wrong value for `fps`"),
        (["embed", "clips", "out=x.h5", "size=3"], "unknown key `size`; there are: out, extractor"),
        (["embed", "clips", "out=x.h5", "annotations=none.json"], "none.json: no such file"),
        (["import"], "penn_action, pouring, internet, genai, npy"),
        (["import", "imagenet", "folder"], "imagenet folder"),
        (["merge"], "tpl cache merge PATH.h5"),
        (["merge", "none.h5"], "none.h5.shards"),
    ],
)
def test_wrong_arguments_are_named(folder, tmp_path, monkeypatch, capsys, arguments, named):
    monkeypatch.chdir(tmp_path)
    assert main(["cache", *arguments]) == 2
    shown = capsys.readouterr().err
    assert named in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "x.h5").exists()


def test_help_lists_the_options(capsys):
    assert main(["cache", "--help"]) == 0
    shown = capsys.readouterr().out
    for text in ("tpl cache embed VIDEOS...", "extractor=hog", "skip_broken=false", "tpl cache merge PATH.h5"):
        assert text in shown


def test_a_place_that_cannot_be_written_gives_one_line(folder, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["cache", "embed", str(folder), f"out={tmp_path / 'file' / 'x.h5'}", *QUICK]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "x.h5: cannot be written" in shown
