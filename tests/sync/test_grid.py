"""The grid's pictures: frames, bars and the timeline where they belong."""

import numpy as np
import pytest

from tests.run_factory import make_run, read_code, warp
from tpl_lightning.features import Progress
from tpl_lightning.runs import Run
from tpl_lightning.sync.clips import open_clips
from tpl_lightning.sync.clock import make_clock
from tpl_lightning.sync.grid import Grid, cell_size, counted, dimmed, elapsed
from tpl_lightning.sync.layout import MARGIN, plan_layout
from tpl_lightning.sync.style import BACKGROUND, TEXT, UNLABELLED, mix, phase_colors

LENGTHS, STRENGTHS = (30, 40), (0.0, 0.5)


def grid_of(folder, **options):
    pytest.importorskip("av")
    run = Run(make_run(folder, lengths=LENGTHS, strengths=STRENGTHS, **options))
    clips = open_clips(run.videos([]))
    layout = plan_layout(clips, panels=2, columns=2, height=80, width=None)
    clock = make_clock(run, "jump", clips, "prototype")
    times = np.array([0.0, 0.8, 1.5, 2.5])  # prototype times 0, .4, .75, 1; the originals end at 29 / 24 and 39 / 24
    return Grid(run, clips, clock=clock, layout=layout, elapsed_s=times), layout


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    grid, layout = grid_of(tmp_path_factory.mktemp("grid"))
    return list(grid.frames()), layout


def shown(picture, layout, panel, index):
    """The number that a cell shows, and the colour of the bar below it."""
    x, y, width, height = layout.cell(panel, index)
    return read_code(picture[y : y + height, x : x + width]), tuple(picture[y + height + 2, x + width // 2])


def test_cells_show_the_frame_and_the_phase_of_each_moment(drawn):
    pictures, layout = drawn
    down, low, up = phase_colors(3)
    for k, (moment, color) in enumerate(((0, down), (0.4, low), (0.75, up), (1, up))):
        for index, (length, strength) in enumerate(zip(LENGTHS, STRENGTHS, strict=True)):
            code, bar = shown(pictures[k], layout, 1, index)
            assert abs(code - warp(strength, moment) * (length - 1)) <= 1
            assert bar == color
    assert [shown(pictures[k], layout, 0, 1)[0] for k in range(3)] == [0, 19, 36]  # 24 frames a second


def test_originals_that_are_over_stand_dimmed(drawn):
    pictures, layout = drawn
    x, y, width, height = layout.cell(0, 0)
    last, over = (picture[y : y + height, x : x + width] for picture in (pictures[1], pictures[3]))
    assert last.max() > 200
    assert over.max() < 100
    assert shown(pictures[3], layout, 0, 0)[1] == mix(phase_colors(3)[2], BACKGROUND, 0.6)


def test_the_head_runs_along_the_timeline(drawn):
    pictures, layout = drawn
    row, width = layout.height - 38, layout.width - 2 * MARGIN
    for picture, moment in zip(pictures, (0, 0.4, 0.75, 1), strict=True):
        white = np.flatnonzero((picture[row] == TEXT).all(axis=1))
        assert white.mean() == pytest.approx(MARGIN + moment * width, abs=2)


def test_without_labels_bars_are_grey(tmp_path):
    grid, layout = grid_of(tmp_path, labels=False)
    assert shown(next(grid.frames()), layout, 1, 0)[1] == UNLABELLED


def test_frames_that_are_written_are_counted():
    pictures = [np.full((2, 2, 3), k, np.uint8) for k in range(3)]
    told = []

    class Bar(Progress):
        def advance(self, count=1):
            told.append(count)

    with Bar("Writing", 3, enabled=False) as bar:
        assert list(counted(iter(pictures), bar)) == pictures
    assert told == [1, 1, 1]


def test_times_and_sizes():
    np.testing.assert_allclose(elapsed(1.0, 4.0, 0.5), np.arange(9) / 8)
    np.testing.assert_allclose(elapsed(49 / 24, 24.0, 1.0), np.arange(50) / 24)  # rounding costs no frame
    assert cell_size(160, 90)(1920, 1080) == (160, 90)
    assert cell_size(160, 90)(40, 80) == (45, 90)
    assert cell_size(160, 90)(10000, 1) == (160, 1)
    assert dimmed(np.full((1, 1, 3), 200, np.uint8)).tolist() == [[[70, 70, 70]]]
