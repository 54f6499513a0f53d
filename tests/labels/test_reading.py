"""Phases from key events and segments."""

import json

import numpy as np
import pytest

from tests.labels.test_spans import resampled
from tpl_lightning.errors import UserError
from tpl_lightning.features import Clip, annotate
from tpl_lightning.labels.reading import read_annotations

EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="0"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="458"/>
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="1000"/>
  </TIME_ORDER>
  {tiers}
</ANNOTATION_DOCUMENT>"""
TIER = """<TIER LINGUISTIC_TYPE_REF="default" TIER_ID="{name}">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE>down</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
      <ANNOTATION_VALUE>up</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>"""


def labels_of(annotations, video, action="dip", frames=24, fps=24.0, native=24.0):
    names = annotations.phases_of({v: action for v in annotations.named})[action]
    return names, annotations.spans(video, names).labels(*resampled(frames, fps, native))


def test_the_frame_of_an_event_is_the_first_of_the_next_phase(tmp_path):
    path = tmp_path / "a.json"
    clips = {"v": {"action": "dip", "events": [3, 7], "num_frames": 10, "split": "test"}}
    path.write_text(json.dumps({"phases": {"dip": ["top", "low", "end"]}, "clips": clips}))
    annotations = read_annotations(path)
    names, labels = labels_of(annotations, "v", frames=10)
    assert names == ["top", "low", "end"]
    assert labels.tolist() == [0] * 3 + [1] * 4 + [2] * 3
    assert (annotations.split, annotations.num_frames, annotations.action) == (
        {"v": "test"},
        {"v": 10},
        {"v": "dip"},
    )


def test_csv_of_segments_and_of_events_agree(tmp_path):
    segments, events = tmp_path / "s.csv", tmp_path / "e.csv"
    segments.write_text("video_id,phase,start_s,end_s\nv,start,0,0.5\nv,hit,0.5,1\nw,start,0,0.25\nw,hit,0.25,1\n")
    events.write_text("video_id,event,frame\nw,hit,6\nv,hit,12\n")
    for video in ("v", "w"):
        first, second = (labels_of(read_annotations(path), video) for path in (segments, events))
        assert first[0] == second[0] == ["start", "hit"]
        np.testing.assert_array_equal(first[1], second[1])
    assert (labels_of(read_annotations(events), "v")[1] == 0).sum() == 12


def test_elan(tmp_path):
    path = tmp_path / "clip 1.eaf"
    path.write_text(EAF.format(tiers=TIER.format(name="anything")))
    for source in (path, tmp_path):
        names, labels = labels_of(read_annotations(source), "clip 1")
        assert names == ["down", "up"]
        assert labels.tolist() == [0] * 11 + [1] * 13
    path.write_text(EAF.format(tiers=TIER.format(name="notes") + TIER.format(name="Phases")))
    assert labels_of(read_annotations(path), "clip 1")[0] == ["down", "up"]


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("a.json", "{", "expected `phases` and `clips`"),
        (
            "a.json",
            '{"phases": {"x": ["a"]}, "clips": {"v": {"action": "x", "events": [3]}}}',
            "expected 0 rising events",
        ),
        ("a.json", '{"phases": {"x": ["a"]}, "clips": {"v": {"action": "y", "events": []}}}', "KeyError"),
        ("a.csv", "video,label\n", "but found label, video"),
        ("a.csv", "video_id,phase,start_s,end_s\nv,p,0,soon\n", "line 2: expected numbers"),
        ("a.eaf", "<ANNOTATION", "not a readable ELAN file"),
        ("a.eaf", EAF.format(tiers=""), "found none"),
        ("a.eaf", EAF.format(tiers=TIER.format(name="x") + TIER.format(name="y")), "found x, y"),
        ("a.srt", "", "ends in .json, .csv or .eaf"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, text, named):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=named) as error:
        read_annotations(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_and_backward_segments_are_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_annotations(tmp_path / "none.csv")
    with pytest.raises(UserError, match=r"expected \.eaf files"):
        read_annotations(tmp_path)
    path = tmp_path / "s.csv"
    path.write_text("video_id,phase,start_s,end_s\nv,p,3,1\n")
    with pytest.raises(UserError, match=r"from 3\.0 to 1\.0"):
        read_annotations(path).spans("v", ["p"])


def test_elan_files_in_folders_by_action(tmp_path):
    for name in ("a/1.eaf", "b/1.eaf", "b/only.eaf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(EAF.format(tiers=TIER.format(name="phases")))
    annotations = read_annotations(tmp_path)
    clips = [
        Clip("a/1.mp4", "a", "train", tmp_path / "a" / "1.mp4"),
        Clip("b/1.mp4", "b", "train", tmp_path / "b" / "1.mp4"),
        Clip("only", "b", "train", tmp_path / "b" / "only.mp4"),
        Clip("other", "b", "train", tmp_path / "b" / "other.mp4"),
    ]
    labelled, names = annotate(clips, annotations)
    assert names == {"a": ["down", "up"], "b": ["down", "up"]}
    assert [clip.phases is None for clip in labelled] == [False, False, False, True]


@pytest.mark.parametrize("rows", [["up,0,1", "down,0.7,2"], ["down,0.7,2", "up,0,1"], ["up,0,5", "x,1,1", "down,2,3"]])
def test_overlaps_are_refused_in_any_order(tmp_path, rows):
    (tmp_path / "a.csv").write_text("\n".join(["video_id,phase,start_s,end_s", *(f"b0,{row}" for row in rows)]))
    with pytest.raises(UserError, match=r"video 'b0': 'up' from 0 to \d and 'down' .* overlap"):
        read_annotations(tmp_path / "a.csv")


def test_rounding_and_repeated_lines_are_no_overlap(tmp_path):
    (tmp_path / "a.csv").write_text("video_id,phase,start_s,end_s\nv,a,0,0.7005\nv,b,0.7,1\nv,b,0.7,1\n")
    assert read_annotations(tmp_path / "a.csv").named == {"v": [(0, 0.7005, "a"), (0.7, 1, "b")]}
