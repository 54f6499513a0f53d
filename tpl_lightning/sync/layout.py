"""Where the cells of a grid of videos lie."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tpl_lightning.errors import UserError
from tpl_lightning.sync.clips import Clip

MARGIN, GAP = 24, 12
HEADER, FOOTER = 64, 104
PANEL_TITLE, CAPTION, BAR = 34, 26, 6

# A full HD screen; browsers decode larger H.264 slowly or not at all.
_SCREEN = (1920, 1080)
_LARGEST_CELL, _SMALLEST_CELL = 360, 64
_MIN_WIDTH = 560
_MAX_SIDE = 4096


class Cell(NamedTuple):
    """Where a picture lies: column and row of its top left corner, width and height."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Layout:
    """Sizes in pixels of a grid with one or two panels of cells.

    Attributes:
        columns: Cells side by side.
        rows: Cells above one another in a panel.
        panels: 1, or 2 with the originals above.
        cell_width: Width of a picture.
        cell_height: Height of a picture; below it are a bar in the phase's colour and a caption.
    """

    columns: int
    rows: int
    panels: int
    cell_width: int
    cell_height: int

    @property
    def grid_width(self) -> int:
        """Width of all cells with the gaps between them."""
        return self.columns * self.cell_width + (self.columns - 1) * GAP

    @property
    def width(self) -> int:
        """Width of the whole picture."""
        return max(self.grid_width + 2 * MARGIN, _MIN_WIDTH)

    @property
    def panel_height(self) -> int:
        """Height of a panel with its title."""
        return PANEL_TITLE + self.rows * (self.cell_height + BAR + CAPTION) + (self.rows - 1) * GAP

    @property
    def height(self) -> int:
        """Height of the whole picture."""
        return HEADER + self.panels * self.panel_height + (self.panels - 1) * GAP + FOOTER

    @property
    def fits_screen(self) -> bool:
        """Whether all of it is seen at once."""
        return self.width <= _SCREEN[0] and self.height <= _SCREEN[1]

    def panel_top(self, panel: int) -> int:
        """Return the first row of a panel's title."""
        return HEADER + panel * (self.panel_height + GAP)

    def cell(self, panel: int, index: int) -> Cell:
        """Return where a picture lies."""
        row, column = divmod(index, self.columns)
        left = (self.width - self.grid_width) // 2
        top = self.panel_top(panel) + PANEL_TITLE
        x, y = left + column * (self.cell_width + GAP), top + row * (self.cell_height + BAR + CAPTION + GAP)
        return Cell(x, y, self.cell_width, self.cell_height)


def usual_aspect(clips: Sequence[Clip]) -> float:
    """Return the median of the videos' widths by their heights, within limits."""
    shapes = sorted(clip.probe.width / clip.probe.height for clip in clips)
    return min(max(shapes[len(shapes) // 2], 0.5), 2.0)


def plan_layout(
    clips: Sequence[Clip], *, panels: int, columns: int | None, height: int | None, width: int | None
) -> Layout:
    """Choose columns and cell sizes, the largest that fit a full HD screen where nothing is given.

    Args:
        clips: The videos.
        panels: 1 or 2.
        columns: Cells side by side; None: chosen.
        height: Height of a cell's picture; None: chosen, or by the width.
        width: Its width; None: by the videos' median shape.

    Raises:
        UserError: If the picture would be larger than H.264 players take.
    """
    count, aspect = len(clips), usual_aspect(clips)
    if height is not None and width is not None:
        aspect = width / height
    elif width is not None:
        height = max(1, round(width / aspect))
    heights = range(_LARGEST_CELL, _SMALLEST_CELL - 1, -4) if height is None else [height]
    # Of columns that make as many rows, the fewest: these leave least of the last row empty.
    filling = {math.ceil(count / math.ceil(count / c)) for c in range(1, count + 1)}
    sides = sorted(filling) if columns is None else [min(columns, count)]
    candidates = [Layout(c, math.ceil(count / c), panels, max(1, round(h * aspect)), h) for h in heights for c in sides]
    fitting = [one for one in candidates if one.fits_screen or one.cell_height == heights[-1]]
    best = min(fitting, key=lambda one: (-one.cell_height, abs(math.log(one.width / one.height * 9 / 16))))
    if max(best.width, best.height) > _MAX_SIDE:
        raise UserError(
            f"{count} videos of {best.cell_width} x {best.cell_height} pixels in {best.columns} columns make a picture "
            f"of {best.width} x {best.height}, and players take at most {_MAX_SIDE}; ask for a smaller height or width."
        )
    return best
