"""Labels carried to videos and written, read again, and carried on from one video to all."""

import csv
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.run_factory import BOUNDS, PHASES, inverse_warp, make_run
from tpl_lightning.__main__ import main
from tpl_lightning.files.outputs import MANIFEST
from tpl_lightning.labels.reading import read_annotations
from tpl_lightning.runs import Run, RunVideo
from tpl_lightning.sync.label_files import LABEL_COLUMNS, write_labels
from tpl_lightning.sync.phases import Phases
from tpl_lightning.sync.transfer import LabelledVideo, PhaseSpan, carry_labels
from tpl_lightning.video.clock import VideoClock
from tpl_lightning.video.files import VideoReader

STRENGTHS = (0.0, 0.6, -0.6, 0.4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("transfer")
    make_run(folder, strengths=STRENGTHS)
    return folder


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def check_bounds(annotations, run, tolerance_s):
    """Phases begin where the known warps say."""
    for video, strength in zip(run.known_videos("jump"), STRENGTHS, strict=True):
        spans = annotations.named[video.video_id]
        assert [name for _, _, name in spans] == PHASES
        position = inverse_warp(strength, np.linspace(0, 1, video.num_frames))
        for (start, _, _), bound in zip(spans[1:], BOUNDS, strict=True):
            truth = np.searchsorted(position, bound) / video.fps
            seconds = start if annotations.unit == "seconds" else start / video.fps
            assert seconds == pytest.approx(truth, abs=tolerance_s)


@pytest.mark.parametrize("files", [True, False])
@pytest.mark.parametrize("ending", ["csv", "json", "eaf"])
def test_labels_of_the_prototype(folder, tmp_path, ending, files, capsys):
    out = tmp_path / f"labels.{ending}"
    names = [str(folder / "videos")] if files else []
    assert main(["transfer", str(folder / "runs" / "r"), *names, f"out={out}"]) == 0
    assert "12 phases of 4 videos, mean confidence 1.00" in capsys.readouterr().out
    written = out.with_suffix("") if ending == "eaf" else out
    check_bounds(read_annotations(written), Run(folder / "runs" / "r"), tolerance_s=1.5 / 24)


def test_csv_has_frames_times_and_confidence(folder, tmp_path):
    out = tmp_path / "labels.csv"
    assert main(["transfer", str(folder / "runs" / "r"), str(folder / "videos"), f"out={out}"]) == 0
    rows = rows_of(out)
    assert tuple(rows[0]) == LABEL_COLUMNS
    for row in rows:
        assert float(row["start_s"]) == pytest.approx(int(row["start_frame"]) / 24, abs=1e-3)
        assert float(row["end_s"]) == pytest.approx(int(row["end_frame"]) / 24, abs=1e-3)
        assert 0.5 < float(row["confidence"]) <= 1
    last = [row for row in rows if row["video_id"] == "jump_1"][-1]
    assert int(last["end_frame"]) == 50
    assert sorted(p.name for p in tmp_path.iterdir()) == [MANIFEST, "labels.csv"]


@pytest.mark.parametrize("ending", ["csv", "json", "eaf"])
def test_label_one_video_get_all(folder, tmp_path, ending):
    run, clips = str(folder / "runs" / "r"), folder / "videos" / "tiny" / "jump"
    one, out = tmp_path / f"one.{ending}", tmp_path / "all.csv"
    assert main(["transfer", run, str(clips / "jump_1.mp4"), f"out={one}"]) == 0
    assert main(["transfer", run, str(clips), f"out={out}", f"labels={one}", "from=jump_1"]) == 0
    check_bounds(read_annotations(out), Run(run), tolerance_s=2.5 / 24)
    # What comes back to the video itself is what was given.
    given = read_annotations(one)
    own = [row for row in rows_of(out) if row["video_id"] == "jump_1"]
    name = next(iter(given.named))
    starts = [s if given.unit == "seconds" else s / 24 for s, _, _ in given.named[name]]
    assert [float(row["start_s"]) for row in own] == pytest.approx(starts, abs=1.01 / 24)


def test_labels_of_several_videos_vote(folder, tmp_path):
    run, out = str(folder / "runs" / "r"), tmp_path / "out.csv"
    labels = tmp_path / "labels.csv"
    lines = [f"jump_{k},{name},0,99" for k, name in enumerate(["up", "up", "down"])]
    labels.write_text("\n".join(["video_id,phase,start_s,end_s", *lines]))
    assert main(["transfer", run, f"labels={labels}", f"out={out}"]) == 0
    assert {(row["phase"], row["confidence"]) for row in rows_of(out)} == {("up", "0.667")}


def test_eaf_is_a_whole_elan_document(folder, tmp_path):
    out = tmp_path / "one.eaf"
    clip = folder / "videos" / "tiny" / "jump" / "jump_2.mp4"
    assert main(["transfer", str(folder / "runs" / "r"), str(clip), f"out={out}"]) == 0
    root = ElementTree.parse(out).getroot()
    order = ["HEADER", "TIME_ORDER", "TIER", "TIER", "LINGUISTIC_TYPE", "LINGUISTIC_TYPE", "CONSTRAINT"]
    assert (root.tag, [child.tag for child in root]) == ("ANNOTATION_DOCUMENT", order)
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert media.attrib["MEDIA_URL"] == clip.resolve().as_uri()
    assert (out.parent / media.attrib["RELATIVE_MEDIA_URL"]).resolve() == clip.resolve()
    assert media.attrib["MIME_TYPE"] == "video/mp4"
    slots = {s.attrib["TIME_SLOT_ID"]: int(s.attrib["TIME_VALUE"]) for s in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    types = {t.attrib["LINGUISTIC_TYPE_ID"] for t in root.iter("LINGUISTIC_TYPE")}
    assert {tier.attrib["LINGUISTIC_TYPE_REF"] for tier in root.iter("TIER")} <= types
    phases = list(root.iter("ALIGNABLE_ANNOTATION"))
    assert [a.findtext("ANNOTATION_VALUE") for a in phases] == PHASES
    assert all(slots[a.attrib["TIME_SLOT_REF1"]] < slots[a.attrib["TIME_SLOT_REF2"]] for a in phases)
    references = list(root.iter("REF_ANNOTATION"))
    assert [r.attrib["ANNOTATION_REF"] for r in references] == [a.attrib["ANNOTATION_ID"] for a in phases]
    ids = [a.attrib["ANNOTATION_ID"] for a in [*phases, *references]]
    assert len(set(ids)) == len(ids) == int(root.findtext("HEADER/PROPERTY")) == 6


def test_elan_files_of_videos_that_share_names(tmp_path):
    grid = np.linspace(0, 1, 4)
    shared = {"split": "train", "clock": VideoClock.even(4, 10.0), "position": grid, "source": grid}
    videos = [RunVideo(video_id=f"{action}/take 1.5.mp4", action=action, **shared) for action in ("jump", "turn")]
    span = PhaseSpan("up", 0.0, 0.4, 0, 4, 1.0)
    written = write_labels(tmp_path / "l.eaf", [LabelledVideo(video, ("up",), 4, 10.0, (span,)) for video in videos])
    assert written == [tmp_path / "l" / "jump" / "take 1.5.eaf", tmp_path / "l" / "turn" / "take 1.5.eaf"]
    annotations = read_annotations(tmp_path / "l")
    assert [annotations.name_of(video.video_id, video.action) for video in videos] == list(annotations.named)


TICKS = {"even": np.arange(40), "uneven": np.concatenate([3 * np.arange(20), 60 + np.arange(20)])}


@pytest.mark.parametrize("fps", [None, 10.0, 50.0])
@pytest.mark.parametrize("start", [0, 7])
@pytest.mark.parametrize("kind", ["even", "uneven"])
@pytest.mark.parametrize("has_file", [True, False])
def test_seconds_go_out_and_come_back_frame_by_frame(tmp_path, kind, start, fps, has_file):
    """Labels carried to a video, written in seconds, are those that embedding it with this file gives."""
    pytest.importorskip("av")
    from tests.video_factory import numbered, write_at

    path = write_at(tmp_path / "v.mkv", numbered(40, width=32, height=16), TICKS[kind] + start, 24)
    reader = VideoReader(path, fps=fps)
    count = sum(1 for _ in reader)
    rng = np.random.default_rng(0)
    position = np.sort(rng.uniform(size=count))
    clock, names = reader.clock, ("up", "top", "down")
    video = RunVideo(position, position, "v", "a", "train", clock, path if has_file else None, timed=True)
    phases = Phases(names, np.repeat([0, 1, 2], [9, 3, 8]), np.ones(20))
    (out,) = write_labels(tmp_path / "l.csv", [carry_labels(video, phases)])
    spans = read_annotations(out).spans("v", names)
    assert spans.unit == "seconds"
    np.testing.assert_array_equal(
        spans.labels(clock, np.array(reader.frames)),
        phases.labels[phases.point(video.prototype_time(np.arange(count)))],
    )
