"""The grid of videos: originals above, synchronised below, phases and the common clock."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tpl_lightning.features import Progress
from tpl_lightning.runs import Run
from tpl_lightning.sync.clips import Clip
from tpl_lightning.sync.clock import Clock
from tpl_lightning.sync.layout import BAR, FOOTER, MARGIN, PANEL_TITLE, Cell, Layout
from tpl_lightning.sync.phases import phases_of_run
from tpl_lightning.sync.style import ACCENT, BACKGROUND, MUTED, PANEL, TEXT, Color, colors_of, mix, paste, text
from tpl_lightning.video import FrameSize, write_video

_TRACK = 12  # height of the timeline
_STILL = 0.35  # brightness of a picture that stands still, as its video has not begun or is over


class _Row(NamedTuple):
    """What one cell shows over the output frames.

    Frames of the file and their seconds; whether it stands still, as the video has no frame there, or none any more;
    and the label of what it shows, -1 where there is none.
    """

    frames: np.ndarray
    seconds: np.ndarray
    still: np.ndarray
    labels: np.ndarray


def cell_size(width: int, height: int) -> FrameSize:
    """Return the function that fits a video into a box, up or down."""

    def fit(own_width: int, own_height: int) -> tuple[int, int]:
        scale = min(width / own_width, height / own_height)
        return max(1, round(own_width * scale)), max(1, round(own_height * scale))

    return fit


def draw_ground(canvas: np.ndarray, cell: Cell, name: str, color: Color) -> None:
    """Draw what never changes of a cell: its ground, and a name below it."""
    canvas[cell.y : cell.y + cell.height, cell.x : cell.x + cell.width] = PANEL
    paste(canvas, text(name, 12, color, max_width=max(cell.width - 52, 10)), cell.x, cell.y + cell.height + BAR + 4)


def draw_cell(canvas: np.ndarray, cell: Cell, picture: np.ndarray, color: Color, seconds: float) -> None:
    """Draw a picture into its cell, and below it a bar and its time."""
    below, top = cell.y + cell.height, cell.y + (cell.height - picture.shape[0]) // 2
    paste(canvas, picture, cell.x + cell.width // 2, top, align="middle")
    canvas[below : below + BAR, cell.x : cell.x + cell.width] = color
    if cell.width >= 90:
        paste(canvas, text(f"{seconds:.2f} s", 12, MUTED), cell.x + cell.width, below + BAR + 4, align="right")


def dimmed(picture: np.ndarray) -> np.ndarray:
    """Return a picture (H, W, 3) as it is shown while its video has no frame."""
    return (picture * _STILL).astype(np.uint8)


def elapsed(seconds: float, fps: float, speed: float) -> np.ndarray:
    """Return the seconds of the common clock at each output frame, from 0 to the given ones."""
    # The tolerance keeps rounding from costing the last frame.
    return np.arange(int(np.floor(seconds * fps / speed + 1e-4)) + 1) * speed / fps


def counted(frames: Iterator[np.ndarray], bar: Progress) -> Iterator[np.ndarray]:
    """Yield frames, and tell the bar of each."""
    for frame in frames:
        yield frame
        bar.advance()


class Grid:
    """Draws the frames of the synced video, one at a time.

    Args:
        run: The run.
        clips: Videos of one action.
        clock: The common clock.
        layout: Where the cells lie.
        elapsed_s: Seconds of the common clock at each output frame.
    """

    def __init__(self, run: Run, clips: Sequence[Clip], *, clock: Clock, layout: Layout, elapsed_s: np.ndarray) -> None:
        """Work out what every cell shows, and draw what never changes."""
        action = clips[0].video.action
        self.clips, self.phases, self.layout, self.elapsed_s = clips, phases_of_run(run, action), layout, elapsed_s
        self.time = clock.prototype_time(elapsed_s)
        self.labels, self.colors = self.phases.label(self.time), colors_of(self.phases.names)
        self.panels = [[self._synced(clip) for clip in clips]]
        if layout.panels == 2:
            self.panels.insert(0, [self._original(clip) for clip in clips])
        self.base = np.full((layout.height, layout.width, 3), BACKGROUND, dtype=np.uint8)
        self._draw_header(action, run.data_source if run.cache.is_procedural else "")
        self._draw_grounds(clock.reference)
        self.track = self._draw_track()

    def frames(self) -> Iterator[np.ndarray]:
        """Yield the pictures (H, W, 3), uint8; each decoder holds one frame."""
        layout, size = self.layout, cell_size(self.layout.cell_width, self.layout.cell_height)
        cells = [
            (layout.cell(panel, index), row, clip.pictures(row.frames, size))
            for panel, rows in enumerate(self.panels)
            for index, (row, clip) in enumerate(zip(rows, self.clips, strict=True))
        ]
        for k in range(len(self.elapsed_s)):
            canvas = self.base.copy()
            for cell, row, pictures in cells:
                picture, color = next(pictures), self.colors[row.labels[k]]
                if row.still[k]:
                    picture, color = dimmed(picture), mix(color, BACKGROUND, 0.6)
                draw_cell(canvas, cell, picture, color, row.seconds[k])
            self._draw_footer(canvas, k)
            yield canvas

    def write(self, path: Path, fps: float, bar: Progress) -> None:
        """Write the video; the bar is told of each frame."""
        write_video(path, counted(self.frames(), bar), fps)

    def _synced(self, clip: Clip) -> _Row:
        frame, shown = clip.video.frame(self.time), clip.video.has_frame(self.time)
        return _Row(clip.file_frame(frame), clip.seconds(frame), ~shown, np.where(shown, self.labels, -1))

    def _original(self, clip: Clip) -> _Row:
        last = clip.video.num_frames - 1
        frame = clip.embedded_frame(np.minimum(self.elapsed_s, clip.duration_s)).clip(0, last)
        # The last frame is on screen for as any other.
        ended = self.elapsed_s > clip.duration_s + 1 / clip.shown.usual_fps
        labels = np.where(clip.video.acts(frame), self.phases.label(clip.video.prototype_time(frame)), -1)
        return _Row(clip.file_frame(frame), clip.seconds(frame), ended, labels)

    def _draw_header(self, title: str, note: str) -> None:
        name = text(title.replace("_", " "), 24, bold=True)
        paste(self.base, name, MARGIN, 18)
        count = f"{len(self.clips)} video{'s' * (len(self.clips) != 1)}"
        paste(self.base, text(count, 14, MUTED), MARGIN + name.shape[1] + 16, 28)
        room = self.layout.width - name.shape[1] - 2 * MARGIN - 140
        if note and room > 80:
            paste(self.base, text(note, 12, MUTED, max_width=room), self.layout.width - MARGIN, 29, align="right")

    def _draw_grounds(self, reference: Clip | None) -> None:
        """Draw panel titles, the ground of the cells, and names."""
        layout = self.layout
        tempo = "prototype clock" if reference is None else f"tempo of {reference.video.video_id}"
        titles = [("ORIGINAL", "each at its own pace", MUTED), ("SYNCHRONISED", tempo, TEXT)][-layout.panels :]
        for panel, (title, detail, color) in enumerate(titles):
            left, top = layout.cell(panel, 0).x, layout.panel_top(panel) + PANEL_TITLE - 26
            heading = text(title, 13, color, bold=True)
            paste(self.base, heading, left, top)
            paste(self.base, text(detail, 13, MUTED), left + heading.shape[1] + 12, top)
            for index, clip in enumerate(self.clips):
                name_color = ACCENT if clip is reference else MUTED
                draw_ground(self.base, layout.cell(panel, index), clip.video.video_id, name_color)

    def _draw_track(self) -> np.ndarray:
        """Draw the timeline, dim onto the base; return it bright."""
        width, top = self.layout.width - 2 * MARGIN, self.layout.height - 34
        bright = np.full((_TRACK, width, 3), self.colors[-1], dtype=np.uint8)
        for segment in self.phases.segments():
            a, b = round(segment.start * width), round(segment.end * width)
            bright[:, a:b] = self.colors[segment.label]
            bright[:, max(b - 1, 0) : b] = BACKGROUND
        dim = np.array(BACKGROUND) + 0.38 * (bright.astype(np.float64) - BACKGROUND)
        self.base[top : top + _TRACK, MARGIN : MARGIN + width] = dim.astype(np.uint8)
        return bright

    def _draw_footer(self, canvas: np.ndarray, k: int) -> None:
        width, top, line = self.layout.width, self.layout.height - 34, self.layout.height - FOOTER + 22
        paste(canvas, text(f"{self.time[k]:.3f}", 20, TEXT, bold=True), width - MARGIN, line, align="right")
        seconds = text(f"{self.elapsed_s[k]:.2f} s", 14, MUTED)
        paste(canvas, seconds, width - MARGIN - 80, line + 6, align="right")
        if self.phases.known:
            canvas[line + 4 : line + 20, MARGIN : MARGIN + 16] = self.colors[self.labels[k]]
            name = self.phases.name(int(self.labels[k])) or "no label"
            paste(canvas, text(name, 18, TEXT, max_width=width - 2 * MARGIN - 210), MARGIN + 28, line + 1)
        played = round(float(self.time[k]) * self.track.shape[1])
        canvas[top : top + _TRACK, MARGIN : MARGIN + played] = self.track[:, :played]
        canvas[top - 4 : top + _TRACK + 4, max(MARGIN + played - 2, 0) : MARGIN + played + 2] = TEXT
