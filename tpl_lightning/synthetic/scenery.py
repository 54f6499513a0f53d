"""Backgrounds: a wall or a landscape, a floor in perspective, a mat, a little texture. Drawn once per clip."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tpl_lightning.synthetic.canvas import Camera, Colour, colours, shade

MARGIN = 1.5
"""The background is this many times larger than the picture, so that drift never shows its end."""

_FINE = 2
_WALL_DISTANCE = 1.7

WALLS = colours("ded6c8 c4d0d6 aabeb2 d6beaa 788696 5c6270 bcb2cc e8e2da 967868 485c68 cecaa0 8ca4be")
FLOORS = colours("b0845c 7a583e 6c7076 484c52 c4b6a0 969692 5e6878")
MATS = colours("3c5a96 963c46 327864 3c3e46 be823c 6e508c")
_IRON = (58, 60, 66)


class _Sheet:
    """A background in the making, in pixels of a raster ``_FINE`` times finer than the picture's.

    Attributes:
        image: What is drawn.
        width: Pixels along each side.
        horizon: Row where wall meets floor.
        unit: Pixels per metre at the wall.
    """

    def __init__(self, camera: Camera, size: int, rng: np.random.Generator) -> None:
        """Look from the camera, without its drift, on an empty sheet."""
        self._camera, self._offset, self.rng = camera, (round(MARGIN * size) - size) / 2, rng
        self.width = _FINE * round(MARGIN * size)
        self.image = Image.new("RGB", (self.width, self.width))
        self.draw = ImageDraw.Draw(self.image)
        base = self.on_floor(np.array([0.0, 1.0]), np.array([_WALL_DISTANCE] * 2))
        self.horizon, self.unit = float(base[0, 1]), float(base[1, 0] - base[0, 0])

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Where points of the world (..., 3) are: (..., 2)."""
        return _FINE * (self._camera.project(points, moving=False)[0] + self._offset)

    def on_floor(self, right: np.ndarray, away: np.ndarray) -> np.ndarray:
        """Where points of the floor are that lie so many metres to the right of and away from below the target."""
        cos, sin, target = np.cos(self._camera.yaw), np.sin(self._camera.yaw), self._camera.target
        x_right, x_away = np.array([cos, 0.0, -sin]), np.array([-sin, 0.0, -cos])
        return self.pixels(target * [1, 0, 1] + right[..., None] * x_right + away[..., None] * x_away)

    def metres(self, low: float, high: float) -> float:
        """Draw a length, in pixels at the wall."""
        return self.rng.uniform(low, high) * self.unit

    def column(self) -> float:
        """Draw where something stands."""
        return self.rng.uniform(0, self.width)

    def shaded(self, colour: Colour, low: float, high: float) -> Colour:
        """Draw a shade of a colour."""
        return shade(colour, self.rng.uniform(low, high))

    def pick(self, colours: tuple[Colour, ...]) -> Colour:
        """Draw a colour near one of these."""
        jitter = self.rng.integers(-14, 15, size=3)
        return tuple(np.clip(colours[self.rng.integers(len(colours))] + jitter, 0, 255).tolist())

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self.draw.rectangle((left, top, right, bottom), fill=colour)

    def disc(self, x: float, y: float, wide: float, high: float, colour: Colour) -> None:
        """Fill an ellipse around a point."""
        self.draw.ellipse((x - wide, y - high, x + wide, y + high), fill=colour)

    def gradient(self, top: float, bottom: float, above: Colour, below: Colour, steps: int = 48) -> None:
        """Fill rows from one colour to another."""
        edges = np.linspace(top, bottom, steps + 1)
        mix = np.linspace(0.0, 1.0, steps)[:, None]
        colours = ((1 - mix) * np.array(above) + mix * np.array(below)).round().astype(int).tolist()
        for start, end, colour in zip(edges[:-1], edges[1:], colours, strict=True):
            self.box(0, start, self.width, end + 1, tuple(colour))


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
    sheet = _Sheet(camera, size, rng)
    outdoors = rng.random() < 0.25
    (_landscape if outdoors else _indoor_wall)(sheet)
    _floor(sheet, outdoors=outdoors)
    if mat is not None and not outdoors and rng.random() < 0.7:
        _mat(sheet, mat)
    picture = sheet.image.reduce(_FINE)
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.1)))
    # Blotches and grain belong to the scene, and so do not flicker.
    blotches = Image.fromarray(rng.normal(0, 1, (7, 7)).astype(np.float32))
    coarse = blotches.resize(picture.size, Image.Resampling.BICUBIC)
    grain = rng.standard_normal(picture.size, dtype=np.float32)
    change = rng.uniform(1.0, 6.0) * np.asarray(coarse) + rng.uniform(0.5, 3.0) * grain
    return Image.fromarray(np.clip(np.asarray(picture) + change[..., None], 0, 255).astype(np.uint8))


def _indoor_wall(sheet: _Sheet) -> None:
    rng, wall, wide, end = sheet.rng, sheet.pick(WALLS), sheet.width, sheet.horizon
    sheet.gradient(0, end, sheet.shaded(wall, 0.8, 1.15), sheet.shaded(wall, 0.8, 1.1))
    pattern = rng.integers(4)
    if pattern == 0:
        _bricks(sheet, wall)
    elif pattern == 1:
        step, start = sheet.metres(0.35, 0.7), rng.uniform(0, 60)
        for x in np.arange(start, wide, 2 * step):
            sheet.box(x, 0, x + step, end, shade(wall, 0.95))
    elif pattern == 2:
        height = end - sheet.metres(0.7, 1.1)
        sheet.box(0, height, wide, end, shade(sheet.pick(WALLS), 0.85))
        sheet.box(0, height - 5, wide, height, shade(wall, 1.25))
    for _ in range(int(rng.integers(1, 5))):
        _DECOR[rng.integers(len(_DECOR))](sheet, wall)
    sheet.box(0, end - 0.09 * sheet.unit, wide, end, sheet.shaded(wall, 0.55, 1.3))


def _bricks(sheet: _Sheet, wall: Colour) -> None:
    # The joints are a few pixels wide whatever the size of the picture, so bricks must not be smaller.
    high, wide = max(0.14 * sheet.unit, 5.0), max(0.34 * sheet.unit, 9.0)
    for row, y in enumerate(np.arange(sheet.horizon, -high, -high)):
        for x in np.arange(-wide * (1 + row % 2) / 2, sheet.width, wide):
            sheet.box(x + 2, y - high + 2, x + wide - 2, y - 1, sheet.shaded(wall, 0.88, 1.0))


def _window(sheet: _Sheet, wall: Colour) -> None:
    wide, high = sheet.metres(0.5, 1.0), sheet.metres(0.6, 1.0)
    x, y = sheet.rng.uniform(0, sheet.width - wide), sheet.horizon - sheet.metres(2.0, 2.5)
    frame, shine = 0.05 * sheet.unit, (x, y + high, x + 0.7 * wide, y, x + wide, y, x + 0.3 * wide, y + high)
    sheet.box(x - frame, y - frame, x + wide + frame, y + high + frame, shade(wall, 1.5))
    sheet.box(x, y, x + wide, y + high, (186, 214, 232))
    sheet.draw.polygon(shine, fill=(206, 228, 240))
    sheet.box(x + wide / 2 - 3, y, x + wide / 2 + 3, y + high, shade(wall, 1.5))


def _poster(sheet: _Sheet, wall: Colour) -> None:
    rng = sheet.rng
    wide, high = sheet.metres(0.3, 0.6), sheet.metres(0.4, 0.8)
    x, y = rng.uniform(0, sheet.width - wide), sheet.horizon - sheet.metres(1.4, 2.3)
    colour, radius = sheet.pick(MATS), 0.3 * min(wide, high)
    corners, border = (x, y, x + wide, y + high), shade(wall, 0.6)
    sheet.draw.rectangle(corners, fill=shade(colour, 1.4), outline=border, width=3)
    sheet.disc(x + wide * rng.uniform(0.35, 0.65), y + high * rng.uniform(0.35, 0.65), radius, radius, colour)


def _plant(sheet: _Sheet, wall: Colour) -> None:
    x, high = sheet.column(), sheet.metres(0.5, 0.9)
    pot, y, side = 0.13 * sheet.unit, sheet.horizon, 0.10 * sheet.unit
    for _ in range(9):
        lean, length = sheet.rng.uniform(-0.8, 0.8), sheet.rng.uniform(0.6, 1.0) * high
        middle, half = x + 0.3 * lean * length, y - pot - 0.5 * length
        leaf = (x, y - pot, middle + side, half, x + lean * length, y - pot - length, middle - side, half)
        sheet.draw.polygon(leaf, fill=sheet.shaded((62, 128, 78), 0.7, 1.2))
    corners = (x - pot, y - 1.6 * pot, x + pot, y - 1.6 * pot, x + 0.7 * pot, y, x - 0.7 * pot, y)
    sheet.draw.polygon(corners, fill=shade(sheet.pick(FLOORS), 0.9))


def _rack(sheet: _Sheet, wall: Colour) -> None:
    wide, x, y = sheet.metres(0.8, 1.3), sheet.column(), sheet.horizon
    for level in (0.25, 0.6):
        shelf = y - level * sheet.unit
        sheet.box(x, shelf, x + wide, shelf + 6, _IRON)
        for place in np.arange(0.1, 0.95, 0.18):
            r, centre = sheet.metres(0.05, 0.08), x + place * wide
            sheet.draw.ellipse((centre - r, shelf - 2 * r, centre + r, shelf), fill=shade(sheet.pick(MATS), 0.8))
    for edge in (x, x + wide):
        sheet.box(edge - 5, y - 0.8 * sheet.unit, edge + 5, y, _IRON)


_DECOR: tuple[Callable[[_Sheet, Colour], None], ...] = (_window, _poster, _plant, _rack)


def _landscape(sheet: _Sheet) -> None:
    rng, end = sheet.rng, sheet.horizon
    sky = ((120, 176, 226), (226, 180, 150), (164, 196, 214))[rng.integers(3)]
    sheet.gradient(0, end, shade(sky, 0.85), shade(sky, 1.45))
    x = np.linspace(0, sheet.width, 60)
    for layer in range(3):
        height = (1.7 - 0.5 * layer) * rng.uniform(0.5, 1.0) * sheet.unit
        slow = np.sin(x / sheet.width * rng.uniform(4, 9) + rng.uniform(0, 6))
        fast = np.sin(x / sheet.width * rng.uniform(12, 24))
        top = end - height * (0.7 + 0.25 * (slow + 0.4 * fast))
        outline = np.stack([x, top], -1).ravel().tolist()
        sheet.draw.polygon([*outline, sheet.width, end, 0, end], fill=shade((96, 142, 106), 1.45 - 0.22 * layer))
    for _ in range(int(rng.integers(2, 6))):
        place, high = sheet.column(), sheet.metres(0.9, 1.7)
        sheet.box(place - 6, end - 0.5 * high, place + 6, end, (104, 78, 60))
        for level in (0.95, 0.75, 0.6):
            r = 0.32 * high * (1.25 - level)
            middle = place + rng.uniform(-0.3, 0.3) * r
            sheet.disc(middle, end - level * high, r + 12, r, sheet.shaded((72, 126, 78), 0.85, 1.15))


def _floor(sheet: _Sheet, *, outdoors: bool) -> None:
    rng = sheet.rng
    colour = sheet.shaded((118, 156, 92), 0.85, 1.15) if outdoors else sheet.pick(FLOORS)
    sheet.gradient(sheet.horizon, sheet.width, shade(colour, 0.84), shade(colour, 1.12))
    if outdoors:
        return
    joint, pattern, near = shade(colour, 0.8), rng.integers(3), -2.2
    if pattern < 2:
        step = rng.uniform(0.18, 0.30) if pattern == 0 else rng.uniform(0.45, 0.7)
        a = np.arange(-7.0, 7.0, step) + rng.uniform(0, step)
        ends = [sheet.on_floor(a, np.full_like(a, away)) for away in (near, _WALL_DISTANCE)]
        for line in np.concatenate(ends, axis=1).tolist():
            sheet.draw.line(line, fill=joint, width=2)
    if pattern == 1:
        b = np.arange(near, _WALL_DISTANCE, 0.55) + rng.uniform(0, 0.55)
        for y in sheet.on_floor(np.zeros_like(b), np.minimum(b, _WALL_DISTANCE))[:, 1].tolist():
            sheet.draw.line((0, y, sheet.width, y), fill=joint, width=2)


def _mat(sheet: _Sheet, mat: tuple[float, float, float, float]) -> None:
    x0, x1, z0, z1 = mat
    colour = sheet.pick(MATS)
    for inset, tone in ((0.0, 0.75), (0.04, 1.0)):
        left, right, back, front = x0 + inset, x1 - inset, z0 + inset, z1 - inset
        corners = np.array([(left, 0.0, back), (right, 0.0, back), (right, 0.0, front), (left, 0.0, front)])
        sheet.draw.polygon(sheet.pixels(corners).ravel().tolist(), fill=shade(colour, tone))
