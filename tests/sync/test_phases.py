"""Labels of a prototype and the way to the frames of videos."""

from dataclasses import replace

import numpy as np
import pytest

from tests.run_factory import BOUNDS, PHASES, make_run
from tpl_lightning.runs.videos import Run
from tpl_lightning.sync.phases import Phases, phases_from_labels, phases_of_run


@pytest.fixture
def run(tmp_path):
    return Run(make_run(tmp_path, files=False))


def test_phases_of_a_run_lie_where_they_were_put(run):
    phases = phases_of_run(run, "jump")
    assert phases.names == tuple(PHASES)
    segments = phases.segments()
    assert [s.label for s in segments] == [0, 1, 2]
    assert segments[0].start == 0.0
    assert segments[-1].end == 1.0
    for segment, bound in zip(segments[1:], BOUNDS, strict=True):
        assert segment.start == pytest.approx(bound, abs=1.5 / 48)
    assert all(0.9 < s.confidence <= 1 for s in segments)


def test_confidence_is_the_share_of_the_votes(run):
    videos = run.known_videos("jump")[:3]
    labels = [np.zeros(v.num_frames, dtype=int) for v in videos]
    labels[2][:] = 1
    phases = phases_from_labels(list(zip(videos, labels, strict=True)), ["a", "b"], 49)
    assert set(phases.labels.tolist()) == {0}
    np.testing.assert_allclose(phases.confidence, 2 / 3)
    labels[0][:] = labels[1][:] = labels[2][:] = -1
    silent = phases_from_labels(list(zip(videos, labels, strict=True)), ["a", "b"], 49)
    assert not silent.known
    assert silent.segments() == []
    assert silent.name(-1) == ""


def test_frames_take_the_label_of_their_prototype_point(run):
    phases = phases_of_run(run, "jump")
    for video in run.known_videos("jump"):
        segments = phases.frame_segments(video)
        found = np.concatenate([np.full(int(s.end - s.start), s.label) for s in segments])
        truth = run.labels(video)
        assert len(found) == video.num_frames
        assert (found == truth).mean() > 0.93  # 16 cells of rounding: a frame at each border


def test_points_round_half_to_even():
    phases = Phases(("a",), np.zeros(5, dtype=int), np.ones(5))
    assert phases.point(np.array([0.0, 0.125, 0.375, 0.5, 1.0, 1.2])).tolist() == [0, 0, 2, 2, 4, 4]


def test_idle_frames_get_no_label_and_a_video_has_no_frame_where_it_misses_the_action(run):
    phases = phases_of_run(run, "jump")
    video = run.known_videos("jump")[0]
    count = video.num_frames
    idle = replace(
        video, position=np.interp(np.linspace(0, 1, count), [0.25, 1], [0, 1]), source=np.linspace(0.25, 1, 49)
    )
    assert idle.acting == (int(np.ceil(0.25 * (count - 1))), count - 1)
    assert phases.frame_segments(idle)[0].start == idle.acting[0]
    assert idle.has_frame(np.linspace(0, 1, 11)).all()
    late = replace(video, position=np.linspace(0.5, 1, count), source=np.linspace(-1, 1, 49))
    assert late.acts(np.arange(count)).all()
    assert late.has_frame(np.array([0.0, 0.4, 0.6, 1.0])).tolist() == [False, False, True, True]
    assert [s.label for s in phases.frame_segments(late)] == [1, 2]
