"""Recordings of channels over time: found in folders, read file by file, gaps filled."""

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tpl_lightning.datasets.importers.video_tree import find_annotations
from tpl_lightning.errors import UserError
from tpl_lightning.features import fill_in, video_names
from tpl_lightning.labels import Doubts


@dataclass(frozen=True)
class Table:
    """Channels over time as a file holds them, without gaps."""

    columns: tuple[str, ...]
    """Names of the C channels."""
    values: np.ndarray
    """(T, C), finite."""
    times_s: np.ndarray | None = None
    """(T,) seconds, rising; None: rows come evenly."""
    first_row: int = 0
    """The row or frame of the file that comes first here."""
    doubt: str = ""
    """What is odd about it, in words."""


@dataclass(frozen=True)
class Recording:
    """One recording: what it is called and shows, and what its file holds."""

    video_id: str
    action: str
    path: Path
    table: Table
    fps: float | None = None
    """Rows per second, of tables without times."""


def read_folder(
    root: Path,
    annotations: Path | None,
    *,
    read: Callable[[Path, str], Table],
    endings: Sequence[str],
    gaps: str,
    fps: float | None,
    name: Callable[[Path], str] = lambda path: path.stem,
    default_fps: float | None = None,
) -> list[Recording]:
    """Read a file per recording, and warn once of what is odd about some.

    Args:
        root: The folder, see :func:`find_recordings`.
        annotations: Of phases; they are no recording.
        read: From a file and ``gaps`` to its table.
        endings: Of the files.
        gaps: ``interpolate`` or ``refuse``.
        fps: Rows per second of tables without times.
        name: From a file to what its recording is called.
        default_fps: The same where nobody says it, with a warning; None: then they are refused.

    Raises:
        UserError: If a file cannot be read, or has no times and no rate is given.
    """
    paths = find_recordings(root, endings, leave=[annotations, find_annotations(root)], name=name)
    if fps is None and default_fps is not None:
        warnings.warn(f"the files state no frame rate; {default_fps:g} is taken, fps=NUMBER says another", stacklevel=3)
    rate = fps or default_fps
    recordings, doubts = [], Doubts()
    for video_id, action, path in paths:
        table = read(path, gaps)
        if table.times_s is None and rate is None:
            raise UserError(
                f"{path}: expected a time column (time_s, time_ms, timestamp ...), but found "
                f"{', '.join(table.columns[:5])}; name it so, or say the rows per second with fps=NUMBER."
            )
        recordings.append(Recording(video_id, action, path, table, rate))
        doubts.note(table.doubt, video_id)
    doubts.warn(root)
    return recordings


def find_recordings(
    root: Path, endings: Sequence[str], *, leave: Sequence[Path | None], name: Callable[[Path], str]
) -> list[tuple[str, str, Path]]:
    """List the files ``<root>/<action>/.../<name>.<ending>``, or those of one action directly in the folder.

    Args:
        root: The folder.
        endings: Of the files, with the dot, in lower case; of a recording in several formats the first is taken.
        leave: Files, or folders, that are no recordings.
        name: From a file to what its recording is called.

    Returns:
        Name, action and file of each recording.

    Raises:
        UserError: If there are none, or an action has only one.
    """
    left = {path.resolve() for path in leave if path is not None}
    found = [
        path
        for path in root.rglob("*")
        if path.suffix.lower() in endings
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and not left & {path.resolve(), *path.resolve().parents}
    ]
    found.sort(key=lambda path: (-endings.index(path.suffix.lower()), path))
    paths = sorted({path.with_suffix(""): path for path in found}.values())
    if not paths:
        raise UserError(f"{root}: expected recordings <action>/<name>{'|'.join(endings)}, but found none.")
    loose = [path for path in paths if path.parent == root]
    if loose and loose != paths:
        shown = ", ".join(path.name for path in loose[:3])
        warnings.warn(f"{root}: left out, in no folder that names their action: {shown}", stacklevel=2)
        paths = [path for path in paths if path.parent != root]
    places = [path.relative_to(root).parts for path in paths]
    actions = [place[0] if len(place) > 1 else Path(os.path.abspath(root)).name for place in places]
    lonely = [action for action in dict.fromkeys(actions) if actions.count(action) < 2]
    if lonely:
        raise UserError(f"{root}: expected at least 2 recordings of each action, but {', '.join(lonely)} has 1.")
    called = [path.with_name(f"{name(path)}{path.suffix}") for path in paths]
    ids = video_names(list(zip(actions, called, strict=True)), root)
    return list(zip(ids, actions, paths, strict=True))


def interpolated(values: np.ndarray, at: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return channels (T, C), known at places (T,), at other places (S,): (S, C)."""
    return np.stack([np.interp(wanted, at, channel) for channel in values.T], axis=1)


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
