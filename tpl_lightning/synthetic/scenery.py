"""Backgrounds: a wall or a landscape, a floor in perspective, a mat, a little texture. Drawn once per clip."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tpl_lightning.synthetic.canvas import Camera, Colour, shade

MARGIN = 1.5
"""The background is this many times larger than the picture, so that drift never shows its end."""

_FINE = 2
_WALL_DISTANCE = 1.7

WALLS: tuple[Colour, ...] = (
    (222, 214, 200), (196, 208, 214), (170, 190, 178), (214, 190, 170), (120, 134, 150), (92, 98, 112),
    (188, 178, 204), (232, 226, 218), (150, 120, 104), (72, 92, 104), (206, 202, 160), (140, 164, 190),
)  # fmt: skip
FLOORS: tuple[Colour, ...] = (
    (176, 132, 92), (122, 88, 62), (108, 112, 118), (72, 76, 82), (196, 182, 160), (150, 150, 146), (94, 104, 120),
)  # fmt: skip
MATS: tuple[Colour, ...] = ((60, 90, 150), (150, 60, 70), (50, 120, 100), (60, 62, 70), (190, 130, 60), (110, 80, 140))


@dataclass
class _Sheet:
    """A background in the making, in pixels of the fine raster."""

    draw: ImageDraw.ImageDraw
    width: int
    horizon: float
    """Row where wall meets floor."""
    unit: float
    """Pixels per metre at the wall."""
    rng: np.random.Generator


def draw_background(
    camera: Camera, size: int, rng: np.random.Generator, *, mat: tuple[float, float, float, float] | None
) -> Image.Image:
    """Draw what is behind the figure.

    Args:
        camera: the camera; the background is drawn without its drift.
        size: pixels along each side of the picture.
        rng: source of randomness.
        mat: rectangle on the floor that gets a mat (x from, x to, z from, z to; metres), or None.

    Returns:
        RGB image of ``round(MARGIN * size)`` pixels along each side, the picture in its middle.
    """
    full = round(MARGIN * size)
    offset = (full - size) / 2
    canvas = Image.new("RGB", (_FINE * full, _FINE * full))
    right = np.array([np.cos(camera.yaw), 0.0, -np.sin(camera.yaw)])
    away = np.array([-np.sin(camera.yaw), 0.0, -np.cos(camera.yaw)])
    ground = camera.target * [1, 0, 1]

    def to_sheet(points: np.ndarray) -> np.ndarray:
        return _FINE * (camera.project(points, moving=False)[0] + offset)

    def on_floor(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Sheet position of floor points: a metres to the right, b metres away from below the target."""
        return to_sheet(ground + a[..., None] * right + b[..., None] * away)

    base = on_floor(np.array([0.0, 1.0]), np.array([_WALL_DISTANCE] * 2))
    sheet = _Sheet(ImageDraw.Draw(canvas), _FINE * full, float(base[0, 1]), float(base[1, 0] - base[0, 0]), rng)
    outdoors = rng.random() < 0.25
    (_landscape if outdoors else _indoor_wall)(sheet)
    _floor(sheet, on_floor, outdoors=outdoors)
    if mat is not None and not outdoors and rng.random() < 0.7:
        _mat(sheet, to_sheet, mat)
    canvas = canvas.reduce(_FINE)
    if rng.random() < 0.5:
        canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.1)))
    return _texture(canvas, rng)


def _pick(colours: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    jitter = rng.integers(-14, 15, size=3)
    return tuple(int(np.clip(c + j, 0, 255)) for c, j in zip(colours[rng.integers(len(colours))], jitter, strict=True))  # type: ignore[return-value]


def _gradient(sheet: _Sheet, top: float, bottom: float, above: Colour, below: Colour) -> None:
    steps = 48
    edges = np.linspace(top, bottom, steps + 1)
    mix = np.linspace(0.0, 1.0, steps)[:, None]
    colours = ((1 - mix) * np.array(above) + mix * np.array(below)).round().astype(int)
    for i in range(steps):
        sheet.draw.rectangle((0, edges[i], sheet.width, edges[i + 1] + 1), fill=tuple(colours[i].tolist()))


def _indoor_wall(sheet: _Sheet) -> None:
    rng, wall = sheet.rng, _pick(WALLS, sheet.rng)
    _gradient(sheet, 0, sheet.horizon, shade(wall, rng.uniform(0.8, 1.15)), shade(wall, rng.uniform(0.8, 1.1)))
    pattern = rng.integers(4)
    if pattern == 0:
        _bricks(sheet, wall)
    elif pattern == 1:
        step, start = rng.uniform(0.35, 0.7) * sheet.unit, rng.uniform(0, 60)
        for x in np.arange(start, sheet.width, 2 * step):
            sheet.draw.rectangle((x, 0, x + step, sheet.horizon), fill=shade(wall, 0.95))
    elif pattern == 2:
        height = sheet.horizon - rng.uniform(0.7, 1.1) * sheet.unit
        sheet.draw.rectangle((0, height, sheet.width, sheet.horizon), fill=shade(_pick(WALLS, rng), 0.85))
        sheet.draw.rectangle((0, height - 5, sheet.width, height), fill=shade(wall, 1.25))
    for _ in range(int(rng.integers(1, 5))):
        _DECOR[rng.integers(len(_DECOR))](sheet, wall)
    board = 0.09 * sheet.unit
    sheet.draw.rectangle(
        (0, sheet.horizon - board, sheet.width, sheet.horizon), fill=shade(wall, rng.uniform(0.55, 1.3))
    )


def _bricks(sheet: _Sheet, wall: Colour) -> None:
    # The joints are a few pixels wide whatever the size of the picture, so bricks must not be smaller.
    rng, high, wide = sheet.rng, max(0.14 * sheet.unit, 5.0), max(0.34 * sheet.unit, 9.0)
    for row, y in enumerate(np.arange(sheet.horizon, -high, -high)):
        for x in np.arange(-wide * (1 + row % 2) / 2, sheet.width, wide):
            sheet.draw.rectangle((x + 2, y - high + 2, x + wide - 2, y - 1), fill=shade(wall, rng.uniform(0.88, 1.0)))


def _window(sheet: _Sheet, wall: Colour) -> None:
    rng = sheet.rng
    wide, high = rng.uniform(0.5, 1.0) * sheet.unit, rng.uniform(0.6, 1.0) * sheet.unit
    x, y = rng.uniform(0, sheet.width - wide), sheet.horizon - rng.uniform(2.0, 2.5) * sheet.unit
    frame = 0.05 * sheet.unit
    sheet.draw.rectangle((x - frame, y - frame, x + wide + frame, y + high + frame), fill=shade(wall, 1.5))
    sheet.draw.rectangle((x, y, x + wide, y + high), fill=(186, 214, 232))
    sheet.draw.polygon((x, y + high, x + 0.7 * wide, y, x + wide, y, x + 0.3 * wide, y + high), fill=(206, 228, 240))
    sheet.draw.rectangle((x + wide / 2 - 3, y, x + wide / 2 + 3, y + high), fill=shade(wall, 1.5))


def _poster(sheet: _Sheet, wall: Colour) -> None:
    rng = sheet.rng
    wide, high = rng.uniform(0.3, 0.6) * sheet.unit, rng.uniform(0.4, 0.8) * sheet.unit
    x, y = rng.uniform(0, sheet.width - wide), sheet.horizon - rng.uniform(1.4, 2.3) * sheet.unit
    colour = _pick(MATS, rng)
    sheet.draw.rectangle((x, y, x + wide, y + high), fill=shade(colour, 1.4), outline=shade(wall, 0.6), width=3)
    radius = 0.3 * min(wide, high)
    middle = (x + wide * rng.uniform(0.35, 0.65), y + high * rng.uniform(0.35, 0.65))
    sheet.draw.ellipse((middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius), fill=colour)


def _plant(sheet: _Sheet, wall: Colour) -> None:
    rng = sheet.rng
    x, high = rng.uniform(0, sheet.width), rng.uniform(0.5, 0.9) * sheet.unit
    pot = 0.13 * sheet.unit
    y = sheet.horizon
    for _ in range(9):
        lean, length = rng.uniform(-0.8, 0.8), rng.uniform(0.6, 1.0) * high
        tip = (x + lean * length, y - pot - length)
        leaf = (x + 0.3 * lean * length + 0.10 * sheet.unit, y - pot - 0.5 * length)
        other = (x + 0.3 * lean * length - 0.10 * sheet.unit, y - pot - 0.5 * length)
        sheet.draw.polygon((x, y - pot, *leaf, *tip, *other), fill=shade((62, 128, 78), rng.uniform(0.7, 1.2)))
    sheet.draw.polygon(
        (x - pot, y - 1.6 * pot, x + pot, y - 1.6 * pot, x + 0.7 * pot, y, x - 0.7 * pot, y),
        fill=shade(_pick(FLOORS, rng), 0.9),
    )


def _rack(sheet: _Sheet, wall: Colour) -> None:
    rng = sheet.rng
    wide, x, y = rng.uniform(0.8, 1.3) * sheet.unit, rng.uniform(0, sheet.width), sheet.horizon
    for level in (0.25, 0.6):
        shelf = y - level * sheet.unit
        sheet.draw.rectangle((x, shelf, x + wide, shelf + 6), fill=(58, 60, 66))
        for place in np.arange(0.1, 0.95, 0.18):
            r = rng.uniform(0.05, 0.08) * sheet.unit
            centre = x + place * wide
            sheet.draw.ellipse((centre - r, shelf - 2 * r, centre + r, shelf), fill=shade(_pick(MATS, rng), 0.8))
    for edge in (x, x + wide):
        sheet.draw.rectangle((edge - 5, y - 0.8 * sheet.unit, edge + 5, y), fill=(58, 60, 66))


_DECOR: tuple[Callable[[_Sheet, Colour], None], ...] = (_window, _poster, _plant, _rack)


def _landscape(sheet: _Sheet) -> None:
    rng = sheet.rng
    sky = ((120, 176, 226), (226, 180, 150), (164, 196, 214))[rng.integers(3)]
    _gradient(sheet, 0, sheet.horizon, shade(sky, 0.85), shade(sky, 1.45))
    x = np.linspace(0, sheet.width, 60)
    for layer in range(3):
        height = (1.7 - 0.5 * layer) * rng.uniform(0.5, 1.0) * sheet.unit
        wave = np.sin(x / sheet.width * rng.uniform(4, 9) + rng.uniform(0, 6)) + 0.4 * np.sin(
            x / sheet.width * rng.uniform(12, 24)
        )
        top = sheet.horizon - height * (0.7 + 0.25 * wave)
        outline = np.stack([x, top], -1).ravel().tolist()
        colour = shade((96, 142, 106), 1.45 - 0.22 * layer)
        sheet.draw.polygon([*outline, sheet.width, sheet.horizon, 0, sheet.horizon], fill=colour)
    for _ in range(int(rng.integers(2, 6))):
        place, high = rng.uniform(0, sheet.width), rng.uniform(0.9, 1.7) * sheet.unit
        sheet.draw.rectangle((place - 6, sheet.horizon - 0.5 * high, place + 6, sheet.horizon), fill=(104, 78, 60))
        for level in (0.95, 0.75, 0.6):
            r = 0.32 * high * (1.25 - level)
            middle = (place + rng.uniform(-0.3, 0.3) * r, sheet.horizon - level * high)
            leaves = shade((72, 126, 78), rng.uniform(0.85, 1.15))
            sheet.draw.ellipse((middle[0] - r - 12, middle[1] - r, middle[0] + r + 12, middle[1] + r), fill=leaves)


def _floor(sheet: _Sheet, on_floor: Callable[[np.ndarray, np.ndarray], np.ndarray], *, outdoors: bool) -> None:
    rng = sheet.rng
    colour = shade((118, 156, 92), rng.uniform(0.85, 1.15)) if outdoors else _pick(FLOORS, rng)
    _gradient(sheet, sheet.horizon, sheet.width, shade(colour, 0.84), shade(colour, 1.12))
    if outdoors:
        return
    joint, pattern = shade(colour, 0.8), rng.integers(3)
    near = -2.2
    if pattern < 2:
        step = rng.uniform(0.18, 0.30) if pattern == 0 else rng.uniform(0.45, 0.7)
        a = np.arange(-7.0, 7.0, step) + rng.uniform(0, step)
        ends = np.stack([on_floor(a, np.full_like(a, near)), on_floor(a, np.full_like(a, _WALL_DISTANCE))], 1)
        for line in ends.reshape(len(a), 4).tolist():
            sheet.draw.line(line, fill=joint, width=2)
    if pattern == 1:
        b = np.arange(near, _WALL_DISTANCE, 0.55) + rng.uniform(0, 0.55)
        for y in on_floor(np.zeros_like(b), np.minimum(b, _WALL_DISTANCE))[:, 1].tolist():
            sheet.draw.line((0, y, sheet.width, y), fill=joint, width=2)


def _mat(sheet: _Sheet, to_sheet: Callable[[np.ndarray], np.ndarray], mat: tuple[float, float, float, float]) -> None:
    x0, x1, z0, z1 = mat
    colour = _pick(MATS, sheet.rng)
    for inset, tone in ((0.0, 0.75), (0.04, 1.0)):
        corners = [
            (x0 + inset, z0 + inset),
            (x1 - inset, z0 + inset),
            (x1 - inset, z1 - inset),
            (x0 + inset, z1 - inset),
        ]
        sheet.draw.polygon(
            to_sheet(np.array([(x, 0.0, z) for x, z in corners])).ravel().tolist(), fill=shade(colour, tone)
        )


def _texture(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add blotches and grain that belong to the scene, and so do not flicker."""
    width = picture.width
    coarse = Image.fromarray(rng.normal(0, 1, (7, 7)).astype(np.float32)).resize(
        (width, width), Image.Resampling.BICUBIC
    )
    grain = rng.standard_normal((width, width), dtype=np.float32)
    change = rng.uniform(1.0, 6.0) * np.asarray(coarse) + rng.uniform(0.5, 3.0) * grain
    return Image.fromarray(np.clip(np.asarray(picture) + change[..., None], 0, 255).astype(np.uint8))
