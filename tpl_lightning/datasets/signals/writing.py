"""Recordings brought to an even rate and one scale, and written to a cache."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.data import EmbeddingCacheWriter
from tpl_lightning.datasets.signals.recordings import Recording, interpolated
from tpl_lightning.errors import UserError
from tpl_lightning.features import Clip, Progress, annotate, choose_splits
from tpl_lightning.labels import Doubts, doubt_of, read_annotations
from tpl_lightning.video import VideoClock

_LONGEST = 10_000_000  # rows of one recording; more is a time column in a wrong unit


def write_recordings(
    recordings: Sequence[Recording],
    out: Path,
    *,
    about: dict[str, Any],
    fps: float | None,
    annotations: Path | None,
    standardise: bool,
    progress: bool,
) -> Path:
    """Write a cache of recordings.

    Args:
        recordings: At least two of each action.
        out: The cache to write.
        about: What an :class:`EmbeddingCacheWriter` wants to know of them.
        fps: Rows per second to resample to; None: as they are, and where times are uneven their usual rate.
        annotations: Phases by the names of the recordings, see :func:`read_annotations`.
        standardise: Bring the variance of each channel within the training recordings to 1: channels of a recording
            have units of their own.
        progress: Show progress.

    Raises:
        UserError: If channels differ, or a recording is too short.
    """
    recordings = _alike(recordings)
    clips = choose_splits([Clip(r.video_id, r.action, "", Path(r.video_id)) for r in recordings])
    names: dict[str, list[str]] = {}
    if annotations is not None:
        clips, names = annotate(clips, read_annotations(annotations))
    scale = _scale([r for r, c in zip(recordings, clips, strict=True) if c.split == "train"], standardise)
    doubts = Doubts()
    with (
        EmbeddingCacheWriter(out, phase_names=names, **about) as writer,
        Progress("Writing recordings", len(recordings), enabled=progress) as bar,
    ):
        for recording, clip in zip(recordings, clips, strict=True):
            doubts.note(_write(writer, recording, clip, fps, scale), clip.video_id)
            bar.advance(frames=len(recording.table.values))
    doubts.warn(str(annotations))
    return out


def _write(writer: EmbeddingCacheWriter, recording: Recording, clip: Clip, fps: float | None, scale: np.ndarray) -> str:
    """Write a recording; return what is odd about its labels."""
    values, clock, rows = _even(recording, fps)
    # Labels are said by the file's own frames and seconds, of which the first few may hold nothing.
    own = VideoClock(clock.times_s + recording.table.first_row / (recording.fps or clock.fps))
    writer.append(
        video_id=clip.video_id,
        action=clip.action,
        split=clip.split,
        embeddings=(values / scale)[: clip.num_frames],
        labels=None if clip.phases is None else clip.phases.labels(own, rows)[: clip.num_frames],
        fps=clock.fps,
        frame_times=clock.times_s[: clip.num_frames],
    )
    return "" if clip.phases is None else doubt_of(clip.phases, own, rows)


def _alike(recordings: Sequence[Recording]) -> list[Recording]:
    """Bring the channels of all recordings into the order of the first; they must have the same.

    Raises:
        UserError: If one has others, or fewer than two rows.
    """
    first, result = recordings[0], []
    wanted = first.table.columns
    for recording in recordings:
        table = recording.table
        less = ", ".join([name for name in wanted if name not in table.columns][:3])
        more = ", ".join([name for name in table.columns if name not in wanted][:3])
        if less or more:
            found = f"lacks {less}" if less else f"has {more} too"
            raise UserError(f"{recording.path}: expected the same columns as {first.path}, but it {found}.")
        if len(table.values) < 2:
            raise UserError(f"{recording.path}: expected at least 2 rows, but found {len(table.values)}.")
        order = [table.columns.index(name) for name in wanted]
        result.append(replace(recording, table=replace(table, columns=wanted, values=table.values[:, order])))
    return result


def _scale(recordings: Sequence[Recording], standardise: bool) -> np.ndarray:
    """Return what each channel is divided by: its standard deviation within recordings; 1 where it never changes."""
    values = [recording.table.values for recording in recordings]
    variance = np.mean([own.var(axis=0) for own in values], axis=0)
    size = np.max([np.abs(own).max(axis=0) for own in values], axis=0)
    varies = variance > (1e-9 * size) ** 2
    if not varies.any():
        raise UserError(f"{recordings[0].path}: no channel changes over time in any recording; nothing to align.")
    return np.where(varies, np.sqrt(variance), 1.0) if standardise else np.ones_like(variance)


def _even(recording: Recording, fps: float | None) -> tuple[np.ndarray, VideoClock, np.ndarray]:
    """Return values at an even rate, when they are, and the row of the file that each is nearest to."""
    table, count = recording.table, len(recording.table.values)
    times = np.arange(count) / (recording.fps or 1.0) if table.times_s is None else table.times_s
    clock = VideoClock(times - times[0])
    rate = fps or (clock.fps if clock.is_even else float(1 / np.median(np.diff(times))))
    wanted = np.floor(clock.last_s * rate + 1e-6) + 1
    if not 2 <= wanted <= _LONGEST:
        found = f"{wanted:.0f} rows ({clock.last_s:g} s at {rate:g} a second)"
        raise UserError(f"{recording.path}: expected 2 to {_LONGEST} rows, but found {found}; are times in seconds?")
    if fps is None and clock.is_even:
        return table.values, VideoClock.even(count, rate), np.arange(count) + table.first_row
    even = VideoClock.even(int(wanted), rate)
    nearest = np.rint(clock.frame(even.times_s)).astype(np.int64)
    return interpolated(table.values, clock.times_s, even.times_s), even, nearest + table.first_row
