"""Which files are a run's videos, and what new ones show."""

import shutil

import numpy as np
import pytest

from tests.run_factory import make_run
from tpl_lightning.errors import UserError
from tpl_lightning.runs import Run

pytest.importorskip("av")


def test_files_of_the_run_are_known_by_name(run, clips):
    videos = run.videos([clips / "turn" / "turn_1.mp4", clips / "jump"])
    assert [v.video_id for v in videos] == ["turn_1", "jump_0", "jump_1"]
    assert [(v.action, v.split) for v in videos[:2]] == [("turn", "test"), ("jump", "train")]
    np.testing.assert_array_equal(videos[0].position, run.alignment.position(3))
    np.testing.assert_array_equal(videos[0].source, run.alignment.source(3))
    assert [v.video_id for v in run.videos([clips], action="turn")] == ["turn_0", "turn_1"]
    assert [v.video_id for v in run.videos([])] == ["jump_0", "jump_1", "turn_0", "turn_1"]


def test_a_file_in_the_folder_of_another_action_is_another_video(run, clips, tmp_path):
    (tmp_path / "jump").mkdir()
    shutil.copy(clips / "turn" / "turn_0.mp4", tmp_path / "jump")
    with pytest.raises(UserError, match="it does not hold the extractor 'none' that made it"):
        run.videos([tmp_path / "jump" / "turn_0.mp4"])


def test_new_files_of_one_name_are_told_apart_by_their_folders(run, clips, tmp_path):
    for name in ("day1/a.mp4", "day2/a.mp4", "day2/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(clips / "jump" / "jump_0.mp4", tmp_path / name)
    found = run.files([tmp_path / "day1", tmp_path / "day2", tmp_path / "day1" / "a.mp4"], action="jump")
    assert [file.video_id for file in found] == ["day1/a.mp4", "day2/a.mp4", "b"]
    assert [file.path for file in found] == [tmp_path / name for name in ("day1/a.mp4", "day2/a.mp4", "day2/b.mp4")]


def test_links_deep_folders_and_unicode_forms(tmp_path):
    make_run(tmp_path, actions=("jump", "turn"), lengths=(20, 20), strengths=(0.0, 0.1))
    run = Run(tmp_path / "runs" / "r")
    store, named = tmp_path / "store", tmp_path / "set" / "jump" / "day 1"
    store.mkdir()
    named.mkdir(parents=True)
    (store / "x.mp4").write_bytes(b"")
    (named / "cafe\u0301.mp4").symlink_to(store / "x.mp4")
    (tmp_path / "set" / "turn").symlink_to(store)
    files = {file.video_id: file for file in run.files([tmp_path / "set"])}
    assert {name: (file.action, file.row) for name, file in files.items()} == {
        "caf\u00e9": ("jump", None),
        "x": ("turn", None),
    }


def test_files_left_out_are_said_in_one_line(tmp_path, capsys):
    make_run(tmp_path, actions=("jump", "turn"), lengths=(20, 20), strengths=(0.0, 0.1))
    (tmp_path / "videos" / "x.doc").touch()
    Run(tmp_path / "runs" / "r").files([tmp_path / "videos"], action="turn")
    error = capsys.readouterr().err.splitlines()
    assert error == [
        "note: files left out: 1 no videos by their ending (x.doc)",
        "note: files left out: 2 of other actions (jump_0.mp4, jump_1.mp4)",
    ]
