"""The matching frame of every video, and a sheet that shows them."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tpl_lightning.errors import UserError
from tpl_lightning.sync.clips import Clip
from tpl_lightning.sync.grid import cell_size, draw_cell, draw_ground
from tpl_lightning.sync.layout import BAR, FOOTER, MARGIN, Layout, usual_aspect
from tpl_lightning.sync.phases import Phases
from tpl_lightning.sync.style import ACCENT, BACKGROUND, MUTED, TEXT, colors_of, paste, text


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
    # The query stands for itself: going there and back could cost it a frame of rounding.
    places = [(query, np.array(frame))]
    others = [clip for clip in clips if clip is not query and clip.video.has_frame(np.array(time))]
    places += [(clip, clip.video.frame(np.array(time))) for clip in others]
    matches = []
    for clip, at in places:
        index = int(clip.file_frame(at))
        matches.append(Match(clip, index, float(clip.shown.times_s[index]), float(clip.seconds(at)), clip is query))
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
    aspect = usual_aspect([match.clip for match in matches])
    rows = math.ceil(count / (columns or math.ceil(math.sqrt(count * 1.6 / aspect))))
    layout = Layout(min(columns or math.ceil(count / rows), count), rows, 1, round(height * aspect), height)
    sheet = np.full((layout.height - FOOTER + MARGIN, layout.width, 3), BACKGROUND, dtype=np.uint8)
    label = int(phases.label(time))
    color = colors_of(phases.names)[label]
    query, room = matches[0], layout.width - 2 * MARGIN
    title = f"{query.clip.video.action.replace('_', ' ')}: like {query.clip.video.video_id} at {query.time_s:.2f} s"
    paste(sheet, text(title, 20, bold=True, max_width=room), MARGIN, 16)
    sheet[51:65, MARGIN : MARGIN + 14] = color
    words = " · ".join(part for part in (phases.name(label), f"prototype time {time:.3f}", note) if part)
    paste(sheet, text(words, 13, MUTED, max_width=room - 24), MARGIN + 24, 50)
    for index, match in enumerate(matches):
        cell = layout.cell(0, index)
        if match.is_query:
            sheet[cell.y - 3 : cell.y + height + BAR + 3, cell.x - 3 : cell.x + cell.width + 3] = ACCENT
        draw_ground(sheet, cell, match.clip.video.video_id, ACCENT if match.is_query else TEXT)
        picture = next(match.clip.pictures(np.array([match.frame]), cell_size(cell.width, height)))
        draw_cell(sheet, cell, picture, color, match.time_s)
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "png")
    return buffer.getvalue()
