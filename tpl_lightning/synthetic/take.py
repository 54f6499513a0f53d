"""What one camera sees of one figure: pose, camera, picture by picture, as a lens and a sensor give it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tpl_lightning.synthetic.actions import Action, Style
from tpl_lightning.synthetic.body import BodyShape, at
from tpl_lightning.synthetic.canvas import Camera, Painter, Part, hull_outline
from tpl_lightning.synthetic.equipment import Gear, equipment_parts
from tpl_lightning.synthetic.figure import Outfit, figure_parts
from tpl_lightning.synthetic.scenery import MARGIN, draw_background

_MATS = {"pushups": (-0.25, 1.85, -0.45, 0.45), "deadlift": (-0.75, 0.75, -1.0, 1.0), "pullups": (-0.6, 0.6, -0.9, 0.9)}
"""Where the floor may have a mat: x from, x to, z from, z to in metres."""


def draw_take(action: Action, gear: str, progress: np.ndarray, rng: np.random.Generator, *, size: int) -> np.ndarray:
    """Draw what one camera sees of one figure.

    Args:
        action: What the figure does.
        gear: The action of the table whose equipment and floor are there.
        progress: How far the action is at each frame, (T,), see :meth:`Action.skeleton`.
        rng: Source of the looks.
        size: Pixels along each side of a frame.

    Returns:
        RGB frames, (T, size, size, 3), uint8.
    """
    body, outfit, kit = BodyShape.random(rng), Outfit.random(rng), Gear.random(rng)
    pose = action.skeleton(progress, body, Style.random(len(progress), rng))
    parts = [*figure_parts(pose, body, outfit), *equipment_parts(gear, pose, body, kit)]
    camera = _camera(parts, np.radians(action.yaw), size, len(progress), rng)
    return _paint(parts, camera, draw_background(camera, size, rng, mat=_MATS.get(gear)), size, rng)


def _camera(parts: list[Part], yaw: float, size: int, num_frames: int, rng: np.random.Generator) -> Camera:
    """Point a camera at all that will be seen, then disturb it a little."""
    blobs = [blob for part in parts for blob in part.blobs]
    points = np.concatenate([blob.centres.reshape(-1, 3) for blob in blobs])
    radii = np.concatenate([np.tile(blob.radii, len(blob.centres)) for blob in blobs])
    camera = Camera(
        target=(points.min(axis=0) + points.max(axis=0)) / 2,
        drift=_drift(num_frames, size, rng),
        yaw=yaw + np.radians(rng.uniform(-14, 14)),
        pitch=np.radians(rng.uniform(5, 15)),
        distance=rng.uniform(5.0, 8.0),
        focal=1.0,
        centre=np.zeros(2),
    )
    flat, scale = camera.project(points, moving=False)
    margin = (scale * radii)[:, None]
    low, high = (flat - margin).min(axis=0), (flat + margin).max(axis=0)
    fill = rng.uniform(0.80, 0.92)
    focal = fill * size / float(np.max(high - low))
    room = (size - focal * (high - low)) / 2
    shift = rng.uniform(-0.5, 0.5, size=2) * np.minimum(room, 0.12 * size)
    return replace(camera, focal=focal, centre=size / 2 - focal * (low + high) / 2 + shift)


def _drift(num_frames: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Slow similarity transforms around the middle of the picture, shape (T, 2, 3)."""
    time = np.linspace(0.0, 1.0, num_frames)[:, None]
    rate, start = rng.uniform(0.2, 0.9, 4), rng.uniform(0, 2 * np.pi, 4)
    wave = np.sin(2 * np.pi * rate * time + start)
    zoom, roll = 1 + 0.018 * wave[:, 0], np.radians(rng.uniform(-2.0, 2.0)) + np.radians(0.7) * wave[:, 1]
    cos, sin = zoom * np.cos(roll), zoom * np.sin(roll)
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], 1)
    middle = np.full(2, size / 2)
    offset = middle - linear @ middle + 0.014 * size * wave[:, 2:]
    return np.concatenate([linear, offset[..., None]], axis=-1)


def _paint(
    parts: list[Part], camera: Camera, background: Image.Image, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Put background, shadow and parts together, then do what a lens and a sensor do."""
    angle = np.radians(rng.uniform(200, 340))
    painter = Painter(camera, size, np.array([np.cos(angle), np.sin(angle)]), ambient=rng.uniform(0.92, 1.0))
    for part in parts:
        painter.add(part)
    shadows = _shadow_polygons(parts, camera, rng)
    darkness = round(255 * rng.uniform(0.25, 0.5))
    num_frames = len(camera.drift)
    develop = _camera_sensor(num_frames, size, rng)
    mirrored = rng.random() < 0.5
    frames = np.empty((num_frames, size, size, 3), np.uint8)
    for index in range(num_frames):
        scene = _moved(background, camera.drift[index], size)
        shadow = Image.new("L", (size, size))
        draw = ImageDraw.Draw(shadow)
        for polygon in shadows:
            draw.polygon(polygon[index].tolist(), fill=darkness)
        scene.paste((18, 18, 26), mask=shadow.filter(ImageFilter.GaussianBlur(size / 70)))
        layer = painter.paint(index)
        scene.paste(layer, mask=layer)
        picture = develop(np.asarray(scene), index)
        frames[index] = picture[:, ::-1] if mirrored else picture
    return frames


def _moved(background: Image.Image, drift: np.ndarray, size: int) -> Image.Image:
    """Background as the drifting camera sees it."""
    inverse = np.linalg.inv(drift[:, :2])
    border = (MARGIN - 1) * size / 2
    offset = border - inverse @ drift[:, 2]
    coefficients = (*inverse[0], offset[0], *inverse[1], offset[1])
    return background.transform((size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)


def _shadow_polygons(parts: list[Part], camera: Camera, rng: np.random.Generator) -> list[np.ndarray]:
    """Soft shadows: every blob, flattened onto the floor. Each of shape (T, 2 D)."""
    slant = np.array([rng.uniform(-0.3, 0.3), 0.0, rng.uniform(-0.3, 0.0)])
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    ring = at(np.cos(angle), 0.0, np.sin(angle))
    polygons = []
    for blob in (blob for part in parts for blob in part.blobs):
        floor = blob.centres * [1, 0, 1] + blob.centres[..., 1:2] * slant
        rim = (floor[:, :, None] + blob.radii[:, None, None] * ring).reshape(len(floor), -1, 3)
        pixels, _ = camera.project(rim)
        outline = hull_outline(pixels, np.zeros(pixels.shape[:2]))
        polygons.append(outline.reshape(len(outline), -1))
    return polygons


def _camera_sensor(num_frames: int, size: int, rng: np.random.Generator) -> Callable[[np.ndarray, int], np.ndarray]:
    """Return what gives a frame (H, W, 3), by its number, exposure, tint, vignette and noise; uint8."""
    time = np.linspace(0.0, 1.0, num_frames)
    flicker = 0.015 * np.sin(2 * np.pi * rng.uniform(0.5, 3.0) * time + rng.uniform(0, 6.3))
    place = np.linspace(-1.0, 1.0, size)
    vignette = 1.0 - rng.uniform(0.0, 0.14) * (place[:, None] ** 2 + place[None, :] ** 2)
    curve = (vignette[..., None] * (1.0 + rng.uniform(-0.05, 0.05, size=3))).astype(np.float32)
    gain = (rng.uniform(0.85, 1.1) * (1 + flicker)).astype(np.float32)
    offset, noise = float(rng.uniform(-6, 12)), float(rng.uniform(0.6, 3.0))

    def develop(picture: np.ndarray, index: int) -> np.ndarray:
        grain = noise * rng.standard_normal(picture.shape, dtype=np.float32)
        return np.clip(picture * (gain[index] * curve) + offset + grain + 0.5, 0, 255).astype(np.uint8)

    return develop
