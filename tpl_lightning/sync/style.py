"""Colours and lettering shared by synced videos, contact sheets and pages."""

import colorsys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tpl_lightning.names import one_line

__all__ = [
    "ACCENT",
    "BACKGROUND",
    "MUTED",
    "PANEL",
    "TEXT",
    "UNLABELLED",
    "Color",
    "mix",
    "paste",
    "phase_colors",
    "text",
    "to_hex",
]

Color = tuple[int, int, int]

BACKGROUND: Color = (13, 16, 23)
PANEL: Color = (25, 30, 41)
TEXT: Color = (233, 237, 245)
MUTED: Color = (138, 148, 168)
ACCENT: Color = (255, 209, 102)
UNLABELLED: Color = (70, 78, 95)

_PHASES: tuple[Color, ...] = (
    (76, 155, 232),
    (242, 184, 75),
    (92, 196, 137),
    (228, 104, 139),
    (155, 126, 232),
    (79, 195, 208),
    (240, 138, 75),
    (168, 201, 87),
)


def phase_colors(count: int) -> list[Color]:
    """Return a colour per phase; neighbours differ clearly."""
    if count <= len(_PHASES):
        return list(_PHASES[:count])
    # Steps of the golden ratio around the colour wheel keep neighbours far apart for any number.
    wheel = [colorsys.hls_to_rgb((0.58 + k * 0.618034) % 1.0, 0.62, 0.6) for k in range(count)]
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in wheel]


def to_hex(color: Color) -> str:
    """Return #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def mix(color: Color, other: Color, share: float) -> Color:
    """Return a colour with a share of another in it."""
    red, green, blue = (round((1 - share) * a + share * b) for a, b in zip(color, other, strict=True))
    return red, green, blue


@lru_cache(maxsize=64)
def _font(size: int, bold: bool) -> Any:
    import matplotlib as mpl  # its DejaVu fonts are there on every machine, and know most scripts

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    try:
        return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / name, size)
    except OSError:  # taken out of it, as some systems do
        return ImageFont.load_default(size)


@lru_cache(maxsize=4096)
def text(
    words: str,
    size: int,
    color: Color = TEXT,
    background: Color = BACKGROUND,
    *,
    bold: bool = False,
    max_width: int | None = None,
) -> np.ndarray:
    """Draw a line of text; equal calls return the same array, which must not be written to.

    Args:
        words: The text.
        size: Height of the letters in pixels.
        color: Its colour.
        background: What is behind it.
        bold: Whether it is bold.
        max_width: Pixels to keep to; longer text ends in an ellipsis.

    Returns:
        The picture (H, W, 3), uint8; H depends on the size alone.
    """
    font, words = _font(size, bold), one_line(words)
    if max_width is not None and font.getlength(words) > max_width:
        while words and font.getlength(words + "…") > max_width:
            words = words[:-1]
        words = words.rstrip() + "…"
    ascent, descent = font.getmetrics()
    image = Image.new("RGB", (max(1, round(font.getlength(words)) + 1), ascent + descent), background)
    ImageDraw.Draw(image).text((0, 0), words, fill=color, font=font)
    return np.asarray(image)


def paste(canvas: np.ndarray, picture: np.ndarray, x: int, y: int, *, align: str = "left") -> None:
    """Put a picture onto a canvas, cut off at its borders.

    Args:
        canvas: (H, W, 3), written to.
        picture: (h, w, 3).
        x: Column of its left border; of its right one with ``align="right"``, of its middle with ``"middle"``.
        y: Row of its top.
        align: What ``x`` means.
    """
    x -= {"left": 0, "right": picture.shape[1], "middle": picture.shape[1] // 2}[align]
    left, top = max(x, 0), max(y, 0)
    part = picture[top - y : max(canvas.shape[0] - y, 0), left - x : max(canvas.shape[1] - x, 0)]
    canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
