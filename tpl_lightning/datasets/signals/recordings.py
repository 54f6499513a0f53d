"""Recordings of channels over time: found in folders, gaps filled, brought to an even rate, written to a cache."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tpl_lightning.data import EmbeddingCacheWriter
from tpl_lightning.errors import UserError
from tpl_lightning.features import Clip, Progress, annotate, choose_splits, fill_in, video_names
from tpl_lightning.labels import doubt_of, read_annotations, warn_of_names
from tpl_lightning.video import VideoClock

__all__ = ["Recording", "RecordingFile", "fill_gaps", "find_recordings", "ordered", "write_recordings"]

_LONGEST = 10_000_000  # rows of one recording; more is a time column in a wrong unit


@dataclass(frozen=True)
class Recording:
    """One recording as its file holds it, without gaps."""

    video_id: str
    action: str
    path: Path
    values: np.ndarray
    """(T, C), finite."""
    columns: tuple[str, ...]
    """Names of the C channels."""
    times_s: np.ndarray | None = None
    """(T,) seconds, rising; None: rows come evenly at ``fps``."""
    fps: float | None = None
    """Rows per second that the file states, where it states no times."""
    first_row: int = 0
    """The row or frame of the file that comes first here."""


@dataclass(frozen=True)
class RecordingFile:
    """A file that holds a recording: what it is called and shows."""

    video_id: str
    action: str
    path: Path


def find_recordings(
    root: Path,
    endings: Sequence[str],
    *,
    leave: Sequence[Path | None] = (),
    name: Callable[[Path], str] = lambda path: path.stem,
) -> list[RecordingFile]:
    """List the files ``<root>/<action>/.../<name>.<ending>``, or those of one action directly in the folder.

    Args:
        root: The folder.
        endings: Of the files, with the dot, in lower case; of a recording in several formats the first is taken.
        leave: Files, or folders, that are no recordings.
        name: From a file to what its recording is called.

    Raises:
        UserError: If there are none, or an action has only one.
    """
    left = [path.resolve() for path in leave if path is not None]
    paths = [
        path
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in endings
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and not any(own == path.resolve() or own in path.resolve().parents for own in left)
    ]
    if not paths:
        raise UserError(f"{root}: expected recordings <action>/<name>{'|'.join(endings)}, but found none.")
    best: dict[Path, Path] = {}
    for path in sorted(paths, key=lambda path: endings.index(path.suffix.lower())):
        best.setdefault(path.with_suffix(""), path)
    paths = sorted(best.values())
    loose = [path for path in paths if path.parent == root]
    own = Path(os.path.abspath(root)).name
    if len(loose) not in (0, len(paths)):
        shown = ", ".join(path.name for path in loose[:3])
        warnings.warn(f"{root}: left out, in no folder that names their action: {shown}", stacklevel=2)
        paths = [path for path in paths if path.parent != root]
    named = [(own if path.parent == root else path.relative_to(root).parts[0], path) for path in paths]
    counts = Counter(action for action, _ in named)
    lonely = [action for action, count in counts.items() if count < 2]
    if lonely:
        raise UserError(
            f"{root}: expected at least 2 recordings of each action, but {', '.join(lonely)} has 1; add one, or remove "
            "it."
        )
    ids = video_names([(action, path.with_name(f"{name(path)}{path.suffix}")) for action, path in named], root)
    return [RecordingFile(video_id, action, path) for (action, path), video_id in zip(named, ids, strict=True)]


def fill_gaps(
    values: np.ndarray, columns: Sequence[str], path: Path, *, gaps: str, times_s: np.ndarray | None = None
) -> np.ndarray:
    """Interpolate gaps (what is not finite) of each channel in time; before the first and past the last value it stays.

    Args:
        values: (T, C).
        columns: Names of the channels.
        path: Of the recording, for messages.
        gaps: ``interpolate`` or ``refuse``.
        times_s: (T,) when the rows are; None: evenly.

    Raises:
        UserError: If there are gaps and they are refused, or a channel holds nothing.
    """
    holes = ~np.isfinite(values)
    if not holes.any():
        return values
    worst = int(holes.sum(axis=0).argmax())
    if gaps == "refuse":
        raise UserError(
            f"{path}: {int(holes.sum())} gaps, most in column {columns[worst]!r} (row {int(holes[:, worst].argmax())} "
            "first); mend them, or interpolate with gaps=interpolate."
        )
    if holes[:, worst].all():
        raise UserError(f"{path}: column {columns[worst]!r} holds no number; remove the column, or the recording.")
    return fill_in(values, holes, times_s)


def write_recordings(
    recordings: Sequence[Recording],
    out: str | Path,
    *,
    dataset: str,
    extractor: str,
    source: str,
    fps: float | None = None,
    annotations: Path | None = None,
    split: Mapping[str, str] | None = None,
    dtype: str = "float32",
    standardise: bool = True,
    progress: bool = True,
) -> Path:
    """Write a cache of recordings.

    Args:
        recordings: At least two of each action.
        out: The cache to write.
        dataset: Name of the data set.
        extractor: What the channels are, in a word.
        source: Where they come from, in words.
        fps: Rows per second to resample to; None: as they are, and where times are uneven their usual rate.
        annotations: Phases by the names of the recordings, see :func:`read_annotations`.
        split: Of recordings, where the data set says it.
        dtype: ``float16`` or ``float32`` on disk.
        standardise: Bring the variance of each channel within the training recordings to 1: channels of a recording
            have units of their own.
        progress: Show progress.

    Raises:
        UserError: If channels differ, or a recording is too short.
    """
    _check_columns(recordings)
    clips = choose_splits(
        [Clip(r.video_id, r.action, (split or {}).get(r.video_id, ""), Path(r.video_id)) for r in recordings]
    )
    names: dict[str, list[str]] = {}
    if annotations is not None:
        clips, names = annotate(clips, read_annotations(annotations))
    scale = _scale([r for r, c in zip(recordings, clips, strict=True) if c.split == "train"], standardise)
    doubts: dict[str, list[str]] = {}
    with (
        EmbeddingCacheWriter(
            out, dataset=dataset, extractor=extractor, source=source, phase_names=names, dtype=dtype
        ) as writer,
        Progress("Writing recordings", len(recordings), enabled=progress) as bar,
    ):
        for recording, clip in zip(recordings, clips, strict=True):
            values, clock, rows = _even(recording, fps)
            # Labels are said by the file's own frames and seconds, of which the first few may hold nothing.
            own = VideoClock(clock.times_s + recording.first_row / (recording.fps or clock.fps))
            if clip.phases is not None and (doubt := doubt_of(clip.phases, own, rows)):
                doubts.setdefault(doubt, []).append(clip.video_id)
            writer.append(
                video_id=clip.video_id,
                action=clip.action,
                split=clip.split,
                embeddings=(values / scale)[: clip.num_frames],
                labels=None if clip.phases is None else clip.phases.labels(own, rows)[: clip.num_frames],
                fps=clock.fps,
                frame_times=clock.times_s[: clip.num_frames],
            )
            bar.advance(frames=len(values))
    if annotations is not None:
        for doubt, videos in doubts.items():
            warn_of_names(annotations, doubt, videos)
    return Path(out)


def ordered(recordings: Sequence[Recording]) -> list[Recording]:
    """Bring the channels of all recordings into the order of the first."""
    wanted = recordings[0].columns
    result = []
    for recording in recordings:
        if recording.columns != wanted and sorted(recording.columns) == sorted(wanted):
            order = [recording.columns.index(name) for name in wanted]
            recording = replace(recording, values=recording.values[:, order], columns=wanted)
        result.append(recording)
    return result


def _check_columns(recordings: Sequence[Recording]) -> None:
    wanted = recordings[0].columns
    for recording in recordings:
        if recording.columns != wanted:
            less = [name for name in wanted if name not in recording.columns]
            more = [name for name in recording.columns if name not in wanted]
            found = f"lacks {', '.join(less[:3])}" if less else f"has {', '.join(more[:3]) or 'another order'} too"
            raise UserError(
                f"{recording.path}: expected the columns of {recordings[0].path} ({len(wanted)}), but it {found}; "
                "give all recordings the same columns."
            )
        if len(recording.values) < 2:
            raise UserError(f"{recording.path}: expected at least 2 rows, but found {len(recording.values)}.")


def _scale(recordings: Sequence[Recording], standardise: bool) -> np.ndarray:
    """Return what each channel is divided by: its standard deviation within recordings; 1 where it never changes."""
    variance = np.mean([recording.values.var(axis=0) for recording in recordings], axis=0)
    size = np.max([np.abs(recording.values).max(axis=0) for recording in recordings], axis=0)
    varies = variance > (1e-9 * size) ** 2
    if not varies.any():
        raise UserError(
            f"{recordings[0].path}: no channel changes over time, in no recording; there is nothing to align."
        )
    return np.where(varies, np.sqrt(variance), 1.0) if standardise else np.ones_like(variance)


def _even(recording: Recording, fps: float | None) -> tuple[np.ndarray, VideoClock, np.ndarray]:
    """Return values at an even rate, when they are, and the row of the file that each is nearest to."""
    count = len(recording.values)
    times = recording.times_s
    if times is None:
        stated = recording.fps or fps
        assert stated is not None
        times = np.arange(count) / stated
    times = times - times[0]
    clock = VideoClock(times)
    rate = fps or (clock.fps if clock.is_even else float(1 / np.median(np.diff(times))))
    wanted = np.floor(times[-1] * rate + 1e-6) + 1
    if wanted > _LONGEST:
        raise UserError(f"{recording.path}: {wanted:.0f} rows at {rate:g} a second; are its times in seconds?")
    if fps is None and clock.is_even:
        return recording.values, VideoClock.even(count, rate), np.arange(count) + recording.first_row
    if wanted < 2:
        raise UserError(f"{recording.path}: {times[-1]:g} s long, too short for {rate:g} rows a second.")
    grid = np.arange(int(wanted)) / rate
    values = np.stack([np.interp(grid, times, channel) for channel in recording.values.T], axis=1)
    nearest = np.rint(np.interp(grid, times, np.arange(count))).astype(np.int64)
    return values, VideoClock.even(len(grid), rate), nearest + recording.first_row
