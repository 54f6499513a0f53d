"""The matching frame of every video, and a sheet that shows them."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tpl_lightning.errors import UserError
from tpl_lightning.sync.clips import Clip
from tpl_lightning.sync.grid import cell_size
from tpl_lightning.sync.phases import Phases
from tpl_lightning.sync.style import ACCENT, BACKGROUND, MUTED, PANEL, TEXT, UNLABELLED, paste, phase_colors, text

__all__ = ["Match", "draw_sheet", "find_matches"]

_MARGIN, _GAP, _HEADER, _CAPTION, _BAR = 24, 14, 84, 26, 6


@dataclass(frozen=True)
class Match:
    """The frame of a video that corresponds to the one asked for.

    Attributes:
        clip: The video.
        frame: Frame of its file, from 0.
        time_s: When that frame appears, in seconds.
        exact_s: The matching instant itself, between frames.
        is_query: Whether this is the frame asked for.
    """

    clip: Clip
    frame: int
    time_s: float
    exact_s: float
    is_query: bool


def find_matches(clips: Sequence[Clip], query: Clip, frame: float) -> tuple[float, list[Match]]:
    """Look up the matching frame of every video: T^theta_i(T^-theta_q(frame)), a pass over one warp each.

    Args:
        clips: Videos of the query's action.
        query: The video asked about.
        frame: Its embedded frame, maybe between two.

    Returns:
        The prototype time, and the matches: the query first, then in the order given. Videos that have no frame there
        have none.

    Raises:
        UserError: If the frame asked about is idle, so nothing matches it.
    """
    if not query.video.acts(np.array(frame)):
        first, last = query.seconds(np.array(query.video.acting, dtype=np.float64)).tolist()
        raise UserError(
            f"{query.path}: the action lasts from {first:.2f} to {last:.2f} s there, so nothing matches this instant; "
            "ask about one in between."
        )
    time = float(query.video.prototype_time(np.array(frame)))
    matches = []
    for clip in sorted(clips, key=lambda clip: clip is not query):
        if clip is not query and not clip.video.has_frame(np.array(time)):
            continue
        # The query stands for itself: going there and back could cost it a frame of rounding.
        at = np.array(frame) if clip is query else clip.video.frame(np.array(time))
        index = int(clip.file_frame(at))
        shown = float(clip.shown.times_s[index])
        matches.append(Match(clip, index, shown, float(clip.seconds(at)), clip is query))
    return time, matches


def draw_sheet(
    matches: Sequence[Match], time: float, phases: Phases, *, columns: int | None, height: int, note: str = ""
) -> bytes:
    """Draw the matching frames side by side.

    Args:
        matches: The matches, the query first.
        time: Prototype time.
        phases: Labels of the prototype.
        columns: Pictures side by side; None: chosen.
        height: Height of a picture in pixels.
        note: A few words below the title.

    Returns:
        A PNG file.
    """
    count = len(matches)
    shapes = sorted(m.clip.probe.width / m.clip.probe.height for m in matches)
    width = round(height * min(max(shapes[count // 2], 0.5), 2.0))
    rows = math.ceil(count / (columns or math.ceil(math.sqrt(count * 1.6 * height / width))))
    columns = min(columns or math.ceil(count / rows), count)
    total = max(columns * width + (columns - 1) * _GAP, 480) + 2 * _MARGIN
    sheet = np.full(
        (_HEADER + rows * (height + _BAR + _CAPTION + _GAP) + _MARGIN - _GAP, total, 3), BACKGROUND, dtype=np.uint8
    )
    label = int(phases.labels[phases.point(time)])
    color = phase_colors(len(phases.names))[label] if label >= 0 else UNLABELLED
    _draw_header(sheet, matches[0], time, phases.name(label), color, note)
    for index, match in enumerate(matches):
        row, column = divmod(index, columns)
        x, y = _MARGIN + column * (width + _GAP), _HEADER + row * (height + _BAR + _CAPTION + _GAP)
        if match.is_query:
            sheet[y - 3 : y + height + _BAR + 3, x - 3 : x + width + 3] = ACCENT
        sheet[y : y + height, x : x + width] = PANEL
        picture = next(match.clip.pictures(np.array([match.frame]), cell_size(width, height)))
        paste(sheet, picture, x + width // 2, y + (height - picture.shape[0]) // 2, align="middle")
        sheet[y + height : y + height + _BAR, x : x + width] = color
        bottom, at = y + height + _BAR + 5, text(f"{match.time_s:.2f} s", 12, MUTED)
        name_color = ACCENT if match.is_query else TEXT
        name = text(match.clip.video.video_id, 12, name_color, max_width=max(width - at.shape[1] - 8, 10))
        paste(sheet, name, x, bottom)
        paste(sheet, at, x + width, bottom, align="right")
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "png")
    return buffer.getvalue()


def _draw_header(
    sheet: np.ndarray, query: Match, time: float, phase: str, color: tuple[int, int, int], note: str
) -> None:
    room = sheet.shape[1] - 2 * _MARGIN
    title = f"{query.clip.video.action.replace('_', ' ')}: like {query.clip.video.video_id} at {query.time_s:.2f} s"
    paste(sheet, text(title, 20, bold=True, max_width=room), _MARGIN, 16)
    sheet[51:65, _MARGIN : _MARGIN + 14] = color
    words = " · ".join(part for part in (phase, f"prototype time {time:.3f}", note) if part)
    paste(sheet, text(words, 13, MUTED, max_width=room - 24), _MARGIN + 24, 50)
