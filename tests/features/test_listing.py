"""Folders and lists of videos."""

import numpy as np
import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.features.listing import clips_of_folder, clips_of_list

pytest.importorskip("av")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("action\njump\n", "path is missing"),
        ("path,action\nnone.mp4,jump\n", "line 2: there is no file"),
        ("path,action\n", "the list is empty"),
        ("path,action,split\nlist.csv,jump,holdout\n", "a split out of train, val, test"),
        ("path,action,labels\nlist.csv,jump,9;5\n", "line 2: expected labels"),
        ("path,action,labels\nlist.csv,jump,soon\n", "line 2: expected labels"),
        ("path,action\nlist.csv,\n", "line 2: expected a path and an action"),
        ("path,action,fps\nlist.csv,jump,fast\n", "line 2: expected `fps` to be a positive number"),
        ("path,action,fps\nlist.csv,jump,0\n", "line 2: expected `fps` to be a positive number"),
    ],
)
def test_lists_that_do_not_do_are_named(tmp_path, text, named):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UserError, match=named):
        clips_of_list(tmp_path / "list.csv")


def test_a_folder_has_a_folder_for_each_action(tmp_path):
    for action, names in (("jump", ("a", "b", "c")), ("turn", ("a", "d"))):
        (tmp_path / action).mkdir()
        for name in names:
            (tmp_path / action / f"{name}.mp4").touch()
    found = clips_of_folder(tmp_path)
    assert [(clip.video_id, clip.action) for clip in found] == [
        ("jump/a.mp4", "jump"),
        ("b", "jump"),
        ("c", "jump"),
        ("turn/a.mp4", "turn"),
        ("d", "turn"),
    ]
    assert [clip.split for clip in found].count("test") == 1
    (tmp_path / "turn" / "d.mp4").unlink()
    with pytest.raises(UserError, match=r"at least 2 videos of each action in .*, but turn has 1"):
        clips_of_folder(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match=r"Expected videos <action>/<video>\.<ext> .* but found none"):
        clips_of_folder(tmp_path / "none")


def test_a_list_gives_names_splits_and_phases(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "pictures").mkdir()
    np.savetxt(tmp_path / "labels.txt", [0, 0, 1, 2])
    (tmp_path / "list.csv").write_text(
        "path,action,split,video_id,labels,fps\na.mp4,jump,train,,2;5,\nb.mp4,jump,val,second,labels.txt,\n"
        "pictures,turn,test,,,12\n"
    )
    clips, names = clips_of_list(tmp_path / "list.csv")
    assert [(c.video_id, c.split, c.kind) for c in clips] == [
        ("a", "train", "video"),
        ("second", "val", "video"),
        ("pictures", "test", "images"),
    ]
    assert clips[0].phases.spans == ((0.0, 2.0, 0), (2.0, 5.0, 1), (5.0, float("inf"), 2))
    assert clips[1].phases.spans == ((0.0, 2.0, 0), (2.0, 3.0, 1), (3.0, 4.0, 2))
    assert (clips[2].phases, clips[2].image_fps) == (None, 12.0)
    assert names == {"jump": ["phase 1", "phase 2", "phase 3"]}
    (tmp_path / "bad.csv").write_text("path,action\nlist.csv,jump\n")
    with pytest.raises(UserError, match=r"bad\.csv: line 2: .*list\.csv is no video by its ending"):
        clips_of_list(tmp_path / "bad.csv")
