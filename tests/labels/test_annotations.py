"""Phases of many videos, found by their names."""

import json

import pytest

from tpl_lightning.features import Clip, annotate
from tpl_lightning.labels.reading import read_annotations


def test_names_are_found_with_endings_accents_and_folders(tmp_path):
    names = ["b1.mp4", "cafe\u0301", "jump/c.mp4", "jump/d", "/x/y/e.mov", "take 1.5", "walk/f"]
    (tmp_path / "a.csv").write_text("video_id,phase,start_s,end_s\n" + "".join(f"{n},up,0,1\n" for n in names))
    annotations = read_annotations(tmp_path / "a.csv")
    found = {
        v: annotations.name_of(v, "jump") for v in ("b1", "caf\u00e9", "jump/c.mp4", "c", "d", "e", "take 1.5", "f")
    }
    wanted = ["b1.mp4", "caf\u00e9", "jump/c.mp4", "jump/c.mp4", "jump/d", "/x/y/e.mov", "take 1.5", None]
    assert list(found.values()) == wanted


def test_labels_of_no_video_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("video_id,phase,start_s,end_s\nv,up,0,1\nb22,up,0,1\n")
    clips = [Clip("v", "dip", "train", tmp_path / "v.mp4"), Clip("w", "dip", "train", tmp_path / "w.mp4")]
    with pytest.warns(UserWarning, match=r"labels match no video \(videos are named as 'v'\): b22$"):
        annotate(clips, read_annotations(tmp_path / "a.csv"))


def test_phases_are_ordered_as_they_begin(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("video_id,phase,start_frame,end_frame\nv,z,0,3\nv,a,3,5\nv,m,5,9\nw,a,0,4\nw,m,4,9\n")
    assert read_annotations(path).phases_of({"v": "x", "w": "x"}) == {"x": ["z", "a", "m"]}


def test_actions_keep_their_order(tmp_path):
    path = tmp_path / "a.json"
    actions = [f"action {number}" for number in range(9)]
    path.write_text(json.dumps({"phases": {action: ["all"] for action in actions}, "clips": {}}))
    assert list(read_annotations(path).phases_of({"v": "other", "w": "action 3"})) == actions
