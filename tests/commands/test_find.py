import json

import numpy as np
import pytest

from tests.recognition.curves import CHANNELS, Actions, training, write_cache
from tests.recognition.test_find import recording
from tpl_lightning.__main__ import main
from tpl_lightning.labels import read_occurrences
from tpl_lightning.runs import Run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of three actions, and what draws more of them."""
    folder, actions = tmp_path_factory.mktemp("find"), Actions(3)
    videos = [*training(actions), *[(f"new_{n}", actions.names[n], "test", actions.clip(n)) for n in range(3)]]
    cache = write_cache(folder / "c.h5", videos)
    arguments = [f"data.cache={cache}", "method=direct", f"run.dir={folder}", "run.name=r", "run.wandb=disabled"]
    assert main(["fit", *arguments, "run.figures=false"]) == 0
    return folder, actions


def test_a_cache_is_searched_and_counted(made, tmp_path, capsys):
    folder, actions = made
    features, truth = recording(actions, [None, 1, 1, None, "foreign", 0, None])
    long = write_cache(tmp_path / "long.h5", [("long", "recording", "test", features)])
    out = tmp_path / "found.csv"
    assert main(["find", str(folder / "r"), str(long), f"out={out}"]) == 0
    found = read_occurrences(out)
    assert [one.action for one in found] == ["b", "b", "a"]
    np.testing.assert_allclose([one.start_s for one in found], [start / 25 for start, _, _ in truth], atol=0.5)
    np.testing.assert_allclose([one.end_s for one in found], [end / 25 for _, end, _ in truth], atol=0.5)
    assert all(0.5 <= one.score <= 1 for one in found)
    assert out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    assert "long: 1 a, 2 b in" in capsys.readouterr().out
    assert main(["find", str(folder / "r"), str(long), f"out={out}", "action=a"]) == 0
    assert [one.action for one in read_occurrences(out)] == ["a"]


def test_of_several_recordings_each_has_its_table(made, tmp_path):
    folder, actions = made
    one, other = recording(actions, [0, None])[0], recording(actions, [None, "foreign"])[0]
    long = write_cache(tmp_path / "long.h5", [("one", "x", "test", one), ("other", "x", "test", other)])
    assert main(["find", str(folder / "r"), str(long), f"out={tmp_path / 'found.csv'}"]) == 0
    tables = {path.stem: len(read_occurrences(path)) for path in (tmp_path / "found").glob("*.csv")}
    assert tables == {"one": 1, "other": 0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a recording"),
        (["LONG", "out=found.txt"], "expected `out` to end in .csv"),
        (["LONG", "action=swim"], "has no such action; there are: a, b, c"),
        (["LONG", "clips=x"], "is a cache, and clips are cut out of video files"),
        (["NARROW"], f"{CHANNELS - 1} channels per frame, but the run"),
        (["nowhere.mp4"], "nowhere.mp4: no such video file or folder"),
        (["nowhere.h5"], "nowhere.h5"),
    ],
)
def test_user_errors(made, tmp_path, capsys, monkeypatch, arguments, message):
    folder, actions = made
    monkeypatch.chdir(tmp_path)
    features = actions.pause(actions.poses[0, 0], 100)
    write_cache(tmp_path / "long.h5", [("long", "x", "test", features)])
    write_cache(tmp_path / "narrow.h5", [("narrow", "x", "test", features[:, 1:])])
    names = {"LONG": "long.h5", "NARROW": "narrow.h5"}
    assert main(["find", str(folder / "r"), *[names.get(a, a) for a in arguments]]) == 2
    assert message in capsys.readouterr().err


def test_test_names_videos_of_unknown_actions(made, tmp_path, capsys):
    folder, actions = made
    videos = [("u_0", "clips", "test", actions.clip(2)), ("u_1", "clips", "test", actions.foreign())]
    cache = write_cache(tmp_path / "unnamed.h5", videos)
    arguments = ["test", str(folder / "r"), f"run.dir={tmp_path}", "run.name=t", "run.wandb=disabled"]
    assert main([*arguments, f"data.cache={cache}"]) == 0
    notes = capsys.readouterr().err
    assert "u_0: shows c (" in notes
    assert "u_1: none of the actions, skipped" in notes
    other = Run(tmp_path / "t", cache=cache)
    assert (other.alignment.video_id.tolist(), other.alignment.action.tolist()) == (["u_0"], ["c"])
    only = write_cache(tmp_path / "none.h5", videos[1:])
    assert main([*arguments, f"data.cache={only}"]) == 2
    assert "none of the 1 videos shows an action of the run" in (said := capsys.readouterr().err)
    assert "(a, b, c); name their action" in said


def test_test_asks_for_all_with_action_auto(made, tmp_path):
    folder, _ = made
    arguments = ["test", str(folder / "r"), f"run.dir={tmp_path}", "run.name=t", "run.wandb=disabled", "action=auto"]
    assert main(arguments) == 0
    assert json.loads((tmp_path / "t" / "metrics.json").read_text())["test/action_accuracy"] == 1
