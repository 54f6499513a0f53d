"""A small painter: cameras, round shapes and how they become pixels.

Everything that moves is a *blob*, the convex hull of spheres: two spheres of different size make a limb, eight tiny
ones a box. Its outline on screen is the hull of circles, which its support function gives for all frames at once;
only the filling of polygons is done frame by frame.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from tpl_lightning.synthetic.body import ahead, side

SUPERSAMPLING = 3
"""Shapes are filled on a raster this many times finer, then averaged."""

Colour = tuple[int, int, int]

_DIRECTIONS = 20  # corners of an outline
_OUTLINE = 0.55  # brightness of the lines around parts


def colours(hexes: str) -> tuple[Colour, ...]:
    """Return colours that are written as in HTML, without the sign, with blanks between them."""
    return tuple(ImageColor.getrgb(f"#{one}")[:3] for one in hexes.split())


def shade(colour: Colour, factor: float) -> Colour:
    """Darken (factor below 1) or lighten a colour; channels stay within 0 to 255."""
    if factor <= 1:
        return tuple(round(c * factor) for c in colour)  # type: ignore[return-value]
    return tuple(round(255 - (255 - c) * (2 - factor)) for c in colour)  # type: ignore[return-value]


@dataclass(frozen=True)
class Camera:
    """A perspective camera that looks at a point of the world, and whose picture pans, zooms and rolls a little."""

    target: np.ndarray
    """Point of the world in the middle of the picture, shape (3,)."""
    yaw: float
    """Radians around the vertical axis, from +z towards +x."""
    pitch: float
    """Radians above the horizon."""
    distance: float
    """Metres to the target."""
    focal: float
    """Pixels per metre at the distance of the target."""
    centre: np.ndarray
    """Pixel of the target before drift, shape (2,)."""
    drift: np.ndarray
    """Similarity transform of the picture per frame, pixels to pixels: shape (T, 2, 3)."""

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points in camera axes (right, up, towards the viewer), shape (..., 3)."""
        cy, sy, cp, sp = np.cos(self.yaw), np.sin(self.yaw), np.cos(self.pitch), np.sin(self.pitch)
        turn = np.array([[cy, 0.0, -sy], [-sp * sy, cp, -sp * cy], [cp * sy, sp, cp * cy]])
        return (points - self.target) @ turn.T

    def project(self, points: np.ndarray, *, moving: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Project world points to pixels.

        Args:
            points: world points, shape (T, ..., 3), or (..., 3) if ``moving`` is false.
            moving: apply the drift of each frame.

        Returns:
            Pixels, shape (T, ..., 2), and pixels per metre there, shape (T, ...).
        """
        local = self.to_camera(points)
        scale = self.focal * self.distance / np.maximum(self.distance - local[..., 2], 0.2)
        pixels = self.centre + np.stack([scale * local[..., 0], -scale * local[..., 1]], -1)
        if moving:
            linear = self.drift[:, :, :2]
            pixels = np.einsum("tij,t...j->t...i", linear, pixels)
            pixels = pixels + self.drift[:, :, 2].reshape(len(linear), *(1,) * (pixels.ndim - 2), 2)
            zoom = np.sqrt(np.linalg.det(linear)).reshape(len(linear), *(1,) * (scale.ndim - 1))
            scale = scale * zoom
        return pixels, scale


@dataclass(frozen=True)
class Blob:
    """Convex hull of spheres."""

    centres: np.ndarray
    """World positions, shape (T, K, 3)."""
    radii: np.ndarray
    """Metres, shape (K,)."""
    colour: Colour
    lit: float = 1.0
    """How strongly light models it; 0 is flat."""


@dataclass
class Part:
    """Blobs that are drawn as one: all outlines, then all fillings, so no line shows where they meet."""

    blobs: list[Blob]
    anchor: np.ndarray | None = None
    """World points whose depth decides what hides what, shape (T, M, 3); None: all centres of the blobs."""
    bias: float = 0.0
    """Metres by which the part counts as nearer."""


def limb(points: list[np.ndarray], radii: list[float], colour: Colour, *, lit: float = 1.0) -> Blob:
    """Blob around points of shape (T, 3) each, one radius per point."""
    return Blob(np.stack(points, axis=1), np.array(radii), colour, lit)


def box(low: tuple[float, float, float], high: tuple[float, float, float], colour: Colour, num_frames: int) -> Blob:
    """Axis-parallel box that stands still, corners in metres."""
    corners = np.array(list(product(*zip(low, high, strict=True))))
    return Blob(np.broadcast_to(corners, (num_frames, 8, 3)), np.full(8, 0.004), colour, 0.0)


def disc(middle: np.ndarray, radius: float, half_width: float, colour: Colour) -> Blob:
    """Cylinder with its axis along z around a point of shape (T, 3)."""
    rim = radius * ahead(np.linspace(0.0, 2 * np.pi, 14, endpoint=False))
    offsets = np.concatenate([rim + side(half_width), rim - side(half_width)])
    return Blob(middle[:, None] + offsets, np.full(len(offsets), 0.002), colour, 0.0)


def hull_outline(pixels: np.ndarray, radii: np.ndarray) -> np.ndarray:
    r"""Outline of the convex hull of circles.

    In direction :math:`d` the hull touches the circle with the largest :math:`c \cdot d + r` at :math:`c + r d`.

    Args:
        pixels: centres, shape (T, K, 2).
        radii: radii, shape (T, K).

    Returns:
        Corners of a polygon, shape (T, D, 2).
    """
    angle = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS) + 0.05
    direction = np.stack([np.cos(angle), np.sin(angle)], -1)
    support = pixels @ direction.T + radii[..., None]  # (T, K, D)
    touched = np.argmax(support, axis=1)  # (T, D)
    centre = np.take_along_axis(pixels, touched[..., None], axis=1)
    radius = np.take_along_axis(radii, touched, axis=1)
    return centre + radius[..., None] * direction


class Painter:
    """Paints parts over a clip, back to front.

    Args:
        camera: the camera.
        size: pixels along each side of the picture.
        light: direction on screen towards the light, x right and y down, shape (2,).
        ambient: factor on all colours.
    """

    def __init__(self, camera: Camera, size: int, light: np.ndarray, *, ambient: float = 1.0) -> None:
        """Nothing is to be painted yet."""
        self.camera, self.size, self.light, self.ambient = camera, size, light, ambient
        self._layers: list[tuple[np.ndarray, list[tuple[np.ndarray, Colour]]]] = []  # depth and polygons of each part

    def add(self, part: Part) -> None:
        """Project a part for all frames.

        Args:
            part: the part; its arrays have as many frames as the camera's drift.
        """
        line = 0.0032 * self.size
        outlines, fillings, lights = [], [], []
        for blob in part.blobs:
            pixels, scale = self.camera.project(blob.centres)
            radii = scale * blob.radii
            colour = shade(blob.colour, self.ambient)
            outlines.append((hull_outline(pixels, radii + line), shade(colour, _OUTLINE)))
            fillings.append((hull_outline(pixels, radii), shade(colour, 1 - 0.16 * blob.lit)))
            if blob.lit > 0:
                for shrink, move, bright in ((0.80, 0.20, 1.0), (0.45, 0.42, 1 + 0.20 * blob.lit)):
                    lit = pixels + (move * radii)[..., None] * self.light
                    lights.append((hull_outline(lit, shrink * radii), shade(colour, bright)))
        anchor = np.concatenate([blob.centres for blob in part.blobs], axis=1) if part.anchor is None else part.anchor
        depth = self.camera.to_camera(anchor)[..., 2].mean(axis=1) + part.bias
        # Lights of one blob may spill over the next one of the same part only where both meet, so they come last.
        shapes = [(SUPERSAMPLING * polygon, colour) for polygon, colour in (*outlines, *fillings, *lights)]
        self._layers.append((depth, [(polygon.reshape(len(polygon), -1), colour) for polygon, colour in shapes]))

    def paint(self, frame: int) -> Image.Image:
        """Picture of all parts at one frame, RGBA, transparent where nothing is."""
        fine = SUPERSAMPLING * self.size
        picture = Image.new("RGBA", (fine, fine))
        draw = ImageDraw.Draw(picture)
        for _, shapes in sorted(self._layers, key=lambda layer: layer[0][frame]):
            for polygon, colour in shapes:
                draw.polygon(polygon[frame].tolist(), fill=(*colour, 255))
        return picture.reduce(SUPERSAMPLING)
