"""Which frames match, and where they stand on the sheet."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.run_factory import BOUNDS, inverse_warp, make_run, read_code, warp
from tpl_lightning.errors import UserError
from tpl_lightning.runs import Run
from tpl_lightning.sync.clips import open_clips
from tpl_lightning.sync.contact_sheet import draw_sheet, find_matches
from tpl_lightning.sync.layout import Layout
from tpl_lightning.sync.phases import phases_of_run
from tpl_lightning.sync.style import ACCENT, phase_colors

LENGTHS, STRENGTHS = (40, 50, 45), (0.0, 0.6, -0.4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("av")
    return Run(make_run(tmp_path_factory.mktemp("sheet"), lengths=LENGTHS, strengths=STRENGTHS))


@pytest.fixture(scope="module")
def clips(run):
    return open_clips(run.videos([]))


def test_matches_are_a_pass_over_both_warps(clips):
    time, matches = find_matches(clips, clips[1], 30.0)
    assert time == pytest.approx(inverse_warp(STRENGTHS[1], 30 / 49), abs=2e-3)
    assert [match.clip for match in matches] == [clips[1], clips[0], clips[2]]
    assert [match.is_query for match in matches] == [True, False, False]
    assert (matches[0].frame, matches[0].time_s) == (30, pytest.approx(30 / 24, abs=1e-3))
    for match, k in zip(matches[1:], (0, 2), strict=True):
        expected = warp(STRENGTHS[k], time) * (LENGTHS[k] - 1)
        assert abs(match.frame - expected) <= 0.6
        assert match.exact_s == pytest.approx(expected / 24, abs=5e-3)


def changed(clip, **fields):
    return replace(clip, video=replace(clip.video, **fields))


def test_videos_without_a_frame_there_have_no_match(clips):
    late = changed(clips[0], position=np.linspace(0.5, 1, 40), source=np.linspace(-1, 1, 49))
    assert [match.clip for match in find_matches([late, clips[1]], clips[1], 10.0)[1]] == [clips[1]]
    assert [match.clip for match in find_matches([late, clips[1]], clips[1], 45.0)[1]] == [clips[1], late]


def test_an_idle_frame_matches_nothing(clips):
    idle = np.interp(np.linspace(0, 1, 40), [0.25, 1], [0, 1])
    query = changed(clips[0], position=idle, source=np.linspace(0.25, 1, 49))
    with pytest.raises(UserError, match=r"jump_0.mp4: the action lasts from 0.42 to 1.62 s there"):
        find_matches([query], query, 3.0)


def test_the_sheet_shows_the_query_framed_and_all_in_the_colour_of_the_phase(run, clips):
    time, matches = find_matches(clips, clips[1], 30.0)
    assert BOUNDS[0] < time < BOUNDS[1]
    png = draw_sheet(matches, time, phases_of_run(run, "jump"), columns=2, height=80)
    sheet = np.asarray(Image.open(io.BytesIO(png)))
    cells = [Layout(2, 2, 1, 160, 80).cell(0, index) for index in range(3)]
    assert [read_code(sheet[y : y + 80, x : x + 160]) for x, y, *_ in cells] == [match.frame for match in matches]
    assert [tuple(sheet[y + 82, x + 80]) for x, y, *_ in cells] == [phase_colors(3)[1]] * 3
    framed = [tuple(sheet[y - 2, x + 80]) == ACCENT for x, y, *_ in cells]
    assert framed == [True, False, False]
