"""Specifications of procedural clips, and their rendering."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.synthetic.actions import ACTION_TABLE, ACTIONS, check_actions
from tpl_lightning.synthetic.take import draw_take
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
        raise UserError(f"Expected at least 2 clips for each of {len(actions)} actions, but got num_clips={num_clips}.")
    specs = []
    for place, action in enumerate(actions):
        count = num_clips // len(actions) + (place < num_clips % len(actions))
        key = zlib.crc32(action.encode())
        splits = _splits(count, np.random.default_rng([seed, key]))
        for index in range(count):
            entropy = (seed, key, index)
            num_frames = int(np.random.default_rng([*entropy, 0]).integers(FRAMES[0], FRAMES[1] + 1))
            cut, idle = _ends(num_frames, trim, lead, np.random.default_rng([*entropy, 3])).tolist()
            name = f"{action}_{index:03d}"
            specs.append(
                ClipSpec(name, action, splits[index], num_frames, entropy, tempo_strength, tuple(cut), tuple(idle))
            )
    return specs


def _ends(num_frames: int, trim: float, lead: float, rng: np.random.Generator) -> np.ndarray:
    """Draw how many frames a clip misses, and in how many the figure idles, at the begin and at the end: (2, 2)."""
    is_cut, share = rng.random(2) < 0.5, rng.random(2)
    cut = (is_cut | (lead == 0)) * trim * share
    idle = (~is_cut | (trim == 0)) * lead * share
    return np.rint(np.stack([cut, idle]) * num_frames).astype(int)


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
