"""Where the cells of a grid lie, and how large they are."""

from types import SimpleNamespace

import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.sync.layout import BAR, CAPTION, GAP, Layout, plan_layout, usual_aspect


def plan(count, shape=(160, 80), **options):
    clips = [SimpleNamespace(probe=SimpleNamespace(width=shape[0], height=shape[1]))] * count
    return plan_layout(clips, **{"panels": 2, "columns": None, "height": None, "width": None, **options})


@pytest.mark.parametrize("options", [{}, {"height": 40}, {"panels": 1}])
@pytest.mark.parametrize("count", [1, 2, 7, 12, 17, 23])
def test_no_row_is_emptier_than_it_must_be(count, options):
    layout = plan(count, **options)
    assert (layout.columns - 1) * layout.rows < count <= layout.columns * layout.rows


@pytest.mark.parametrize("shape", [(160, 90), (90, 160), (100, 100)])
@pytest.mark.parametrize("count", [1, 4, 23, 40])
def test_cells_are_the_largest_that_fit_the_screen(count, shape):
    layout = plan(count, shape)
    assert layout.fits_screen
    height = layout.cell_height + 4
    larger = [Layout(c, -(-count // c), 2, round(height * shape[0] / shape[1]), height) for c in range(1, count + 1)]
    assert layout.cell_height == 360 or not any(one.fits_screen for one in larger)


def test_of_more_than_fit_the_smallest_are_taken():
    layout = plan(120)
    assert (layout.cell_height, layout.fits_screen) == (64, False)


def test_what_is_asked_for_is_taken():
    layout = plan(5, columns=3, height=60)
    assert (layout.columns, layout.rows, layout.cell_width, layout.cell_height) == (3, 2, 120, 60)
    assert (plan(2, columns=9).columns, plan(3, width=100).cell_height) == (2, 50)
    both = plan(3, width=100, height=100)
    assert (both.cell_width, both.cell_height) == (100, 100)
    with pytest.raises(UserError, match=r"2 videos of 4000 x 2000 pixels in .* players take at most 4096"):
        plan(2, height=2000)


def test_cells_lie_in_rows_below_the_titles_and_do_not_meet():
    layout = Layout(2, 2, 2, 300, 80)
    first, right, below = (layout.cell(0, index) for index in range(3))
    assert (right.x - first.x, right.y) == (300 + GAP, first.y)
    assert (below.x, below.y - first.y) == (first.x, 80 + BAR + CAPTION + GAP)
    assert layout.cell(1, 0).y - first.y == layout.panel_height + GAP
    last = layout.cell(1, 3)
    assert last.y + 80 + BAR + CAPTION < layout.height
    assert first.x == layout.width - (right.x + 300)  # as much room on either side


def test_the_usual_shape_is_the_median_within_limits():
    shapes = [(160, 80), (100, 100), (10, 100)]
    clips = [SimpleNamespace(probe=SimpleNamespace(width=w, height=h)) for w, h in shapes]
    assert usual_aspect(clips) == 1
    assert usual_aspect(clips[2:]) == 0.5
