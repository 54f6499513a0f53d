"""Colours and lettering shared by synced videos, contact sheets and pages."""

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tpl_lightning.files import one_line

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


def colors_of(phases: Sequence[str]) -> list[Color]:
    """Return the colours of phases by their labels; the last one, of label -1, is that of no phase."""
    return [*phase_colors(len(phases)), UNLABELLED]


def to_hex(color: Color) -> str:
    """Return #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def mix(color: Color, other: Color, share: float) -> Color:
    """Return a colour with a share of another in it."""
    red, green, blue = (round((1 - share) * a + share * b) for a, b in zip(color, other, strict=True))
    return red, green, blue


@lru_cache(maxsize=64)
def _font(path: Path, size: int) -> Any:
    try:
        return ImageFont.truetype(str(path), size)
    except OSError:  # taken out of matplotlib, as some systems do
        return ImageFont.load_default(size)


def _own_font(bold: bool) -> Path:
    import matplotlib as mpl  # its DejaVu fonts are there on every machine, and know most alphabets

    return Path(mpl.get_data_path()) / "fonts" / "ttf" / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")


@lru_cache(maxsize=256)
def known_characters(path: Path) -> frozenset[int]:
    """Return the characters that a font has; none if it cannot be read, or drawn at any size as emoji often cannot."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(str(path))
        return frozenset(font.get_charmap() if font.scalable else ())
    except (OSError, RuntimeError, ValueError):
        return frozenset()


@lru_cache(maxsize=1)
def system_fonts() -> list[Path]:
    """Return the fonts of the machine, plain sans-serif ones first."""
    from matplotlib.font_manager import findSystemFonts

    # Plain sans-serif faces first: what is not Latin is mostly Chinese, Japanese or Korean, in fonts of such names.
    def rank(path: Path) -> tuple[bool, bool, str]:
        name = path.stem.lower()
        return "serif" in name or "mincho" in name, not ("regular" in name or "sans" in name), str(path)

    return sorted(map(Path, findSystemFonts()), key=rank)


@lru_cache(maxsize=4096)
def font_of(character: str, bold: bool) -> Path:
    """Return the font to draw a character with: our own, or the first of the system's that has it."""
    own = _own_font(bold)
    if ord(character) in known_characters(own):
        return own
    return next((path for path in system_fonts() if ord(character) in known_characters(path)), own)


def _runs(words: str, size: int, bold: bool) -> list[tuple[str, Any]]:
    """Cut a text into parts of one font each."""
    fonts = groupby(words, key=lambda character: font_of(character, bold))
    return [("".join(part), _font(path, size)) for path, part in fonts]


def _width(words: str, size: int, bold: bool) -> float:
    return sum(font.getlength(part) for part, font in _runs(words, size, bold))


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
    words = one_line(words)
    if max_width is not None and _width(words, size, bold) > max_width:
        while words and _width(words + "…", size, bold) > max_width:
            words = words[:-1]
        words = words.rstrip() + "…"
    ascent, descent = _font(_own_font(bold), size).getmetrics()
    image = Image.new("RGB", (max(1, round(_width(words, size, bold)) + 1), ascent + descent), background)
    left = 0.0
    for part, font in _runs(words, size, bold):
        ImageDraw.Draw(image).text((left, ascent), part, fill=color, font=font, anchor="ls")
        left += font.getlength(part)
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
