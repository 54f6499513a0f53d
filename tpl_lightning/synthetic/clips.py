"""Specifications of procedural clips, and their rendering."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tpl_lightning.errors import UserError
from tpl_lightning.synthetic.actions import ACTION_TABLE, ACTIONS, Action, Style, check_actions
from tpl_lightning.synthetic.body import BodyShape
from tpl_lightning.synthetic.canvas import Camera, Painter, Part, hull_outline
from tpl_lightning.synthetic.equipment import Gear, equipment_parts
from tpl_lightning.synthetic.figure import Outfit, figure_parts
from tpl_lightning.synthetic.scenery import MARGIN, draw_background
from tpl_lightning.synthetic.tempo import random_progress

PROCEDURAL_VERSION = 2
"""Counts up whenever a change gives other pixels for the same specification."""

FPS = 24.0
"""Frames per second of all clips."""

FRAMES = (75, 125)
"""Fewest and most frames of a clip."""

SIZE = 160
"""Pixels along each side of a frame."""

TEST_SHARE, VAL_SHARE = 0.25, 0.15

MATS = {"pushups": (-0.25, 1.85, -0.45, 0.45), "deadlift": (-0.75, 0.75, -1.0, 1.0), "pullups": (-0.6, 0.6, -0.9, 0.9)}
"""Where the floor may have a mat: x from, x to, z from, z to in metres."""


@dataclass(frozen=True)
class ClipSpec:
    """All that decides how a clip looks; the same specification gives the same bits."""

    video_id: str
    action: str
    split: str
    """``train``, ``val`` or ``test``."""
    num_frames: int
    seed: tuple[int, int, int]
    """Entropy of everything random in the clip: seed of the set, action, index within the action."""
    tempo_strength: float
    fps: float = FPS
    cut: tuple[int, int] = (0, 0)
    """Frames of the ``num_frames`` that the clip misses at its begin and at its end."""
    idle: tuple[int, int] = (0, 0)
    """Frames before and after the action in which the figure waits, in its first and its last pose."""


@dataclass(frozen=True)
class RenderedClip:
    """Pixels and ground truth of one clip."""

    frames: np.ndarray
    """RGB, shape (T, H, W, 3), uint8."""
    progress: np.ndarray
    """True progress of each frame in [0, 1], shape (T,), float32; NaN where the figure idles."""
    phases: np.ndarray
    """Index of the phase within the action, shape (T,), int16; -1 where the figure idles."""


def clip_specs(
    num_clips: int = 82,
    *,
    seed: int = 0,
    tempo_strength: float = 1.0,
    actions: Sequence[str] = ACTIONS,
    trim: float = 0.0,
    lead: float = 0.0,
) -> list[ClipSpec]:
    """Decide which clips there are: actions in turn, about 60 % train, 15 % val, 25 % test within each.

    A clip depends on ``seed``, its action and its number within the action only, so a larger set holds the clips of a
    smaller one; the split depends on how many clips an action has.

    Args:
        num_clips: clips in total, at least 2 for each action.
        seed: seed of the set.
        tempo_strength: how uneven the pace is; 0 is an even pace.
        actions: names of the actions to use.
        trim: most that a clip loses at each end, as a share of its frames.
        lead: longest that the figure idles at each end, as a share of the clip's frames. With ``trim`` too, each end is
            cut or idle by the toss of a coin.

    Returns:
        Specifications, sorted by action, then number.

    Raises:
        UserError: for an unknown action, or fewer than two clips for each action.
    """
    check_actions(actions)
    if num_clips < 2 * len(actions):
        raise UserError(
            f"Expected at least 2 clips for each of {len(actions)} actions, {2 * len(actions)} in all, "
            f"but got num_clips={num_clips}: ask for more clips or for fewer actions."
        )
    specs = []
    for place, action in enumerate(actions):
        count = num_clips // len(actions) + (place < num_clips % len(actions))
        key = zlib.crc32(action.encode())
        splits = _splits(count, np.random.default_rng([seed, key]))
        for index in range(count):
            entropy = (seed, key, index)
            num_frames = int(np.random.default_rng([*entropy, 0]).integers(FRAMES[0], FRAMES[1] + 1))
            cut, idle = _ends(num_frames, trim, lead, np.random.default_rng([*entropy, 3]))
            name = f"{action}_{index:03d}"
            specs.append(ClipSpec(name, action, splits[index], num_frames, entropy, tempo_strength, cut=cut, idle=idle))
    return specs


def _ends(
    num_frames: int, trim: float, lead: float, rng: np.random.Generator
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Draw how many frames a clip misses, and in how many the figure idles, at the begin and at the end."""
    is_cut, share = rng.random(2) < 0.5, rng.random(2)
    cut = (is_cut | (lead == 0)) * trim * share
    idle = (~is_cut | (trim == 0)) * lead * share
    first, last = (np.rint(x * num_frames).astype(int).tolist() for x in (cut, idle))
    return (first[0], first[1]), (last[0], last[1])


def _splits(count: int, rng: np.random.Generator) -> list[str]:
    """Split of each of ``count`` clips of an action; at least two train."""
    num_test = min(round(TEST_SHARE * count), count - 2)
    num_val = min(round(VAL_SHARE * count), count - 2 - num_test)
    names = np.array(["test"] * num_test + ["val"] * num_val + ["train"] * (count - num_test - num_val))
    return [str(name) for name in rng.permutation(names)]


def render_clip(spec: ClipSpec, *, size: int = SIZE) -> RenderedClip:
    """Render one clip.

    Args:
        spec: what to render.
        size: pixels along each side of a frame.

    Returns:
        Frames with their true progress and phase.
    """
    action = ACTION_TABLE[spec.action]
    # One stream for the tempo and one for the looks: another tempo leaves the looks as they are.
    progress = random_progress(
        spec.num_frames, strength=spec.tempo_strength, rng=np.random.default_rng([*spec.seed, 1])
    )
    progress = np.pad(progress[spec.cut[0] : spec.num_frames - spec.cut[1]], spec.idle, mode="edge")
    frames = draw_take(action, spec.action, progress, np.random.default_rng([*spec.seed, 2]), size=size)
    phases = action.phase_of(progress)
    idles = np.pad(np.zeros(len(progress) - sum(spec.idle), dtype=bool), spec.idle, constant_values=True)
    return RenderedClip(frames, np.where(idles, np.float32(np.nan), progress), np.where(idles, np.int16(-1), phases))


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
    return _paint(parts, camera, draw_background(camera, size, rng, mat=MATS.get(gear)), size, rng)


def _camera(parts: list[Part], yaw: float, size: int, num_frames: int, rng: np.random.Generator) -> Camera:
    """Point a camera at all that will be seen, then disturb it a little."""
    blobs = [blob for part in parts for blob in part.blobs]
    points = np.concatenate([blob.centres.reshape(-1, 3) for blob in blobs])
    radii = np.concatenate([np.tile(blob.radii, len(blob.centres)) for blob in blobs])
    target = (points.min(axis=0) + points.max(axis=0)) / 2
    drift = _drift(num_frames, size, rng)
    yaw += np.radians(rng.uniform(-14, 14))
    pitch = np.radians(rng.uniform(5, 15))
    camera = Camera(target, yaw, pitch, rng.uniform(5.0, 8.0), 1.0, np.zeros(2), drift)
    flat, scale = camera.project(points, moving=False)
    margin = (scale * radii)[:, None]
    low, high = (flat - margin).min(axis=0), (flat + margin).max(axis=0)
    fill = rng.uniform(0.80, 0.92)
    focal = fill * size / float(np.max(high - low))
    room = (size - focal * (high - low)) / 2
    shift = rng.uniform(-0.5, 0.5, size=2) * np.minimum(room, 0.12 * size)
    return Camera(target, yaw, pitch, camera.distance, focal, size / 2 - focal * (low + high) / 2 + shift, drift)


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
    darkness = rng.uniform(0.25, 0.5)
    num_frames = len(camera.drift)
    finish = _Finish.random(num_frames, size, rng)
    mirrored = rng.random() < 0.5
    frames = np.empty((num_frames, size, size, 3), np.uint8)
    for index in range(num_frames):
        scene = _moved(background, camera.drift[index], size)
        shadow = Image.new("L", (size, size))
        draw = ImageDraw.Draw(shadow)
        for polygon in shadows:
            draw.polygon(polygon[index].tolist(), fill=round(255 * darkness))
        scene.paste((18, 18, 26), mask=shadow.filter(ImageFilter.GaussianBlur(size / 70)))
        layer = painter.paint(index)
        scene.paste(layer, mask=layer)
        picture = finish(np.asarray(scene), index, rng)
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
    """Soft shadows: every blob that casts one, flattened onto the floor. Each of shape (T, 2 D)."""
    slant = np.array([rng.uniform(-0.3, 0.3), 0.0, rng.uniform(-0.3, 0.0)])
    polygons = []
    for part in parts:
        for blob in part.blobs if part.shadow else []:
            floor = blob.centres * [1, 0, 1] + blob.centres[..., 1:2] * slant
            angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
            ring = np.stack([np.cos(angle), 0 * angle, np.sin(angle)], -1)
            rim = (floor[:, :, None] + blob.radii[:, None, None] * ring).reshape(len(floor), -1, 3)
            pixels, _ = camera.project(rim)
            outline = hull_outline(pixels, np.zeros(pixels.shape[:2]))
            polygons.append(outline.reshape(len(outline), -1))
    return polygons


@dataclass(frozen=True)
class _Finish:
    """Exposure, tint, vignette and sensor noise."""

    gain: np.ndarray
    """Brightness per frame, shape (T,)."""
    curve: np.ndarray
    """Factor per pixel and channel, shape (H, W, 3)."""
    offset: float
    noise: float

    @classmethod
    def random(cls, num_frames: int, size: int, rng: np.random.Generator) -> "_Finish":
        time = np.linspace(0.0, 1.0, num_frames)
        flicker = 0.015 * np.sin(2 * np.pi * rng.uniform(0.5, 3.0) * time + rng.uniform(0, 6.3))
        place = np.linspace(-1.0, 1.0, size)
        vignette = 1.0 - rng.uniform(0.0, 0.14) * (place[:, None] ** 2 + place[None, :] ** 2)
        curve = vignette[..., None] * (1.0 + rng.uniform(-0.05, 0.05, size=3))
        return cls(
            gain=(rng.uniform(0.85, 1.1) * (1 + flicker)).astype(np.float32),
            curve=curve.astype(np.float32),
            offset=float(rng.uniform(-6, 12)),
            noise=float(rng.uniform(0.6, 3.0)),
        )

    def __call__(self, picture: np.ndarray, index: int, rng: np.random.Generator) -> np.ndarray:
        """Finished picture, shape (H, W, 3), uint8."""
        noise = rng.standard_normal(picture.shape, dtype=np.float32)
        bright = picture * (self.gain[index] * self.curve) + self.offset + self.noise * noise
        return np.clip(bright + 0.5, 0, 255).astype(np.uint8)
