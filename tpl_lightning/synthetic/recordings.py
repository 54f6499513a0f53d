"""Long recordings with known answers: actions one by one, with pauses and foreign movements in between."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tpl_lightning.features import parallel_map
from tpl_lightning.files import Outputs
from tpl_lightning.labels import Occurrence, write_occurrences
from tpl_lightning.synthetic.actions import ACTION_TABLE, ACTIONS, FOREIGN, check_actions
from tpl_lightning.synthetic.clips import FPS, FRAMES, SIZE
from tpl_lightning.synthetic.take import draw_take
from tpl_lightning.synthetic.tempo import random_progress
from tpl_lightning.video import write_video

MOST = 12
"""Occurrences in a recording, from none to so many."""
_IN_A_ROW = 5  # of one action, most
_FOREIGN_SHARE = 0.35  # of the takes
_AT_ONCE = 0.4  # of the repetitions that follow at once
_PAUSE_S = (0.5, 2.5)
_RETURN_S = {"deadlift": 0.8}  # the way from the last pose to the first, where they differ much
_SHORT_RETURN_S = 0.15


@dataclass(frozen=True)
class RecordingSpec:
    """What a recording shows: takes, cut together.

    Attributes:
        name: Of its files.
        seed: Entropy of the looks.
        takes: Of each the action, whether it is the foreign movement at that equipment, and its progress at each frame,
            see ``Action.skeleton``.
        occurrences: The truth.
    """

    name: str
    seed: tuple[int, ...]
    takes: tuple[tuple[str, bool, np.ndarray], ...]
    occurrences: tuple[Occurrence, ...]


def plan_recording(
    number: int, *, seed: int = 0, tempo_strength: float = 1.0, actions: Sequence[str] = ACTIONS
) -> RecordingSpec:
    """Decide what a recording shows; it depends on the seed, its number and the actions only.

    Raises:
        UserError: If an action is unknown.
    """
    check_actions(actions)
    entropy = (seed, zlib.crc32(b"recording"), number)
    rng = np.random.default_rng(entropy)
    left, begin = int(rng.integers(0, MOST + 1)), 0
    takes: list[tuple[str, bool, np.ndarray]] = []
    found: list[Occurrence] = []
    while left > 0 or not takes:
        action = str(rng.choice(list(actions)))
        foreign = left == 0 or rng.random() < _FOREIGN_SHARE
        most = 2 if foreign else _IN_A_ROW
        count = int(rng.integers(1, most + 1))
        progress, starts = _take(action, count if foreign else min(count, left), tempo_strength, rng)
        if not foreign:
            found += [_occurrence(action, begin + start, progress[start:]) for start in starts]
            left -= len(starts)
        takes.append((action, foreign, progress))
        begin += len(progress)
    return RecordingSpec(f"recording_{number:03d}", entropy, tuple(takes), tuple(found))


def _take(action: str, count: int, strength: float, rng: np.random.Generator) -> tuple[np.ndarray, list[int]]:
    """Return the progress of a take with so many repetitions, and the frame at which each starts."""
    parts, starts = [np.zeros(round(rng.uniform(*_PAUSE_S) * FPS))], []
    back = round(_RETURN_S.get(action, _SHORT_RETURN_S) * FPS)
    for number in range(count):
        starts.append(sum(map(len, parts)))
        length = int(rng.integers(FRAMES[0], FRAMES[1] + 1))
        parts.append(random_progress(length, strength=strength, rng=rng).astype(np.float64))
        if number < count - 1:
            pause = 0 if rng.random() < _AT_ONCE else round(rng.uniform(*_PAUSE_S) * FPS)
            in_last_pose = pause // 2  # the others in the first
            parts += [np.ones(in_last_pose), 1 + np.arange(1, back + 1) / (back + 1), np.zeros(pause - in_last_pose)]
    parts.append(np.ones(round(rng.uniform(*_PAUSE_S) * FPS)))
    return np.concatenate(parts), starts


def _occurrence(action: str, begin: int, progress: np.ndarray) -> Occurrence:
    """Return the truth about the repetition with which progress starts, from a frame of the recording on."""
    length = int(np.argmax(progress >= 1)) + 1
    phase = ACTION_TABLE[action].phase_of(progress[:length])
    phases = (begin + np.flatnonzero(np.diff(phase, prepend=-1))) / FPS
    return Occurrence(begin / FPS, (begin + length) / FPS, action, 1.0, tuple(phases.tolist()))


def render_recording(spec: RecordingSpec, *, size: int = SIZE) -> np.ndarray:
    """Draw a recording: RGB frames, (T, size, size, 3), uint8."""
    frames = []
    for number, (action, foreign, progress) in enumerate(spec.takes):
        rng = np.random.default_rng([*spec.seed, number])
        frames.append(draw_take((FOREIGN if foreign else ACTION_TABLE)[action], action, progress, rng, size=size))
    return np.concatenate(frames)


def recording_paths(folder: Path, count: int) -> list[Path]:
    """Return the files of so many recordings: a video and its truth each."""
    return [folder / f"recording_{number:03d}{ending}" for number in range(count) for ending in (".mp4", ".csv")]


def _write(folder: Path, size: int, spec: RecordingSpec) -> int:
    """Write a recording and its truth; return its number of frames."""
    outputs = Outputs("render")
    frames = render_recording(spec, size=size)
    with outputs.writing(folder / f"{spec.name}.mp4") as part:
        write_video(part, frames, FPS)
    write_occurrences(folder / f"{spec.name}.csv", spec.occurrences, outputs)
    return len(frames)


def build_recordings(
    folder: Path,
    count: int,
    *,
    seed: int = 0,
    tempo_strength: float = 1.0,
    actions: Sequence[str] = ACTIONS,
    size: int = SIZE,
    num_workers: int | None = None,
    progress: bool = True,
) -> tuple[int, int]:
    """Write recordings as ``recording_000.mp4`` ..., each with its truth beside it as ``recording_000.csv``.

    Args:
        folder: Where to.
        count: Recordings.
        seed: Of the set; a larger set holds the recordings of a smaller one.
        tempo_strength: How uneven the pace is.
        actions: What occurs.
        size: Pixels along each side of a frame.
        num_workers: Processes; None: one per core.
        progress: Show progress.

    Returns:
        Occurrences, and frames.
    """
    plan = partial(plan_recording, seed=seed, tempo_strength=tempo_strength, actions=actions)
    specs = [plan(number) for number in range(count)]
    write = partial(_write, folder, size)
    frames = parallel_map(write, specs, description="Rendering recordings", num_workers=num_workers, progress=progress)
    return sum(len(spec.occurrences) for spec in specs), sum(frames)
