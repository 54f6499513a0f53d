"""Synced files one by one: where they go, and what their table says."""

import csv

import numpy as np
import pytest

from tests.run_factory import make_run, read_code, read_video
from tpl_lightning.features import Progress
from tpl_lightning.files import Outputs
from tpl_lightning.runs import Run
from tpl_lightning.sync.clips import open_clips
from tpl_lightning.sync.clock import make_clock
from tpl_lightning.sync.separate import FRAME_COLUMNS, separate_targets, write_separate


def test_files_are_named_after_their_videos(tmp_path):
    names = ["a", "swing/k.mp4", "a#", "a_"]
    targets = [path.relative_to(tmp_path).as_posix() for path in separate_targets(tmp_path, names)]
    assert targets == ["a.mp4", "swing_k.mp4", "a_.mp4", "a_-2.mp4", "frames.csv"]


def test_the_table_names_the_frame_that_each_shows_and_none_where_there_is_none(tmp_path):
    pytest.importorskip("av")
    run = Run(make_run(tmp_path, lengths=(30, 40), strengths=(0.0, 0.5), prototype=25))
    clips = open_clips(run.videos([]))
    object.__setattr__(clips[1].video, "source", np.linspace(-1, 1, 25))  # it begins in the middle of the action
    object.__setattr__(clips[1].video, "position", np.linspace(0.5, 1, 40))
    clock, times = make_clock(run, "jump", clips, "prototype"), np.arange(25) / 24
    targets = separate_targets(tmp_path / "out", ["jump_0", "jump_1"])
    with Progress("Writing", 50, enabled=False) as bar:
        assert write_separate(targets, clips, clock, times, 24.0, Outputs("sync"), bar) == targets
    with targets[-1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == tuple(FRAME_COLUMNS)
    assert [row["video_id"] for row in rows] == ["jump_0"] * 25 + ["jump_1"] * 25
    assert [int(float(row["prototype_frame"])) for row in rows] == [*range(25)] * 2
    late = rows[25:]
    assert [row["source_frame"] for row in late[:12]] == [""] * 12
    assert all(row["source_time_s"] for row in late[12:])
    frames, fps = read_video(targets[1])
    assert (len(frames), fps) == (25, 24)
    assert [read_code(frame) for frame in frames[12:]] == [int(row["source_frame"]) for row in late[12:]]
    assert frames[0].max() < 100 < frames[-1].max()  # dimmed while it has no frame
