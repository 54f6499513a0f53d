"""Key points of a body over time: gaps where they are doubtful, centred on the body, scaled by its size."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tpl_lightning.datasets.importers.video_tree import find_annotations
from tpl_lightning.datasets.signals.recordings import Recording, fill_gaps, find_recordings, ordered
from tpl_lightning.errors import UserError
from tpl_lightning.features import Points, body_size, centred_on_body
from tpl_lightning.labels import column_name, read_cells, warn_of_names

__all__ = [
    "H5_ENDINGS",
    "best_body",
    "named_rows",
    "never_seen",
    "on_the_body",
    "padded",
    "read_keypoints",
    "to_float",
]

_DEFAULT_FPS = 30.0
H5_ENDINGS = (".h5", ".hdf5")


def never_seen(points: Points, least: float) -> list[str]:
    """Return the names of points that have no confidence in any frame."""
    never = np.flatnonzero(points.doubtful(least).all(axis=0))
    return [points.names[k] for k in never]


def on_the_body(points: Points, path: Path, *, least: float, gaps: str) -> np.ndarray:
    """Return coordinates relative to the body: gaps filled, less the mean over points, over the body's size.

    A point of less confidence than ``least`` is a gap. A point that is never seen lies at the centre.

    Args:
        points: The points.
        path: Of the recording, for messages.
        least: Confidence.
        gaps: ``interpolate`` or ``refuse``.

    Returns:
        Shape (T, K D).

    Raises:
        UserError: If no point is seen, or there are gaps and they are refused.
    """
    doubtful = points.doubtful(least)
    places = np.where(doubtful[..., None], np.nan, points.places)
    seen = np.asarray(~doubtful.all(axis=0))
    if not seen.any():
        raise UserError(f"{path}: no point has a confidence of {least:g} in any frame; nothing of the body is seen.")
    count, _, axes = places.shape
    names = [name for name, known in zip(points.names, seen, strict=True) if known for _ in range(axes)]
    flat = fill_gaps(places[:, seen].reshape(count, -1), names, path, gaps=gaps)
    body = flat.reshape(count, -1, axes)
    if not body_size(body) > 0:
        raise UserError(f"{path}: all points lie at one place; the body has no size.")
    result = np.zeros_like(places)
    result[:, seen] = centred_on_body(body)
    return result.reshape(count, -1)


def read_keypoints(
    root: Path,
    annotations: Path | None,
    reader: Callable[[Path], Points],
    *,
    least: float,
    gaps: str,
    fps: float | None,
) -> list[Recording]:
    """Read a file of key points per recording, each brought onto the body.

    Args:
        root: The folder ``<action>/<video>.csv|.h5``; of a recording in both formats the CSV file is taken.
        annotations: Of phases; they are no recording.
        reader: From a file to the points of its body.
        least: Confidence below which a point is a gap.
        gaps: ``interpolate`` or ``refuse``.
        fps: Frames per second, which these files do not state; None: 30, with a warning.

    Raises:
        UserError: If a file is of another layout.
    """
    files = find_recordings(root, (".csv", *H5_ENDINGS), leave=[annotations, find_annotations(root)], name=_video_name)
    if fps is None:
        warnings.warn(
            f"the files state no frame rate; {_DEFAULT_FPS:g} is taken, fps=NUMBER says another", stacklevel=3
        )
    result = []
    unseen: list[str] = []
    for file in files:
        try:
            points = reader(file.path)
        except (OSError, KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{file.path}: of another layout than expected ({error}).") from error
        if never := never_seen(points, least):
            unseen.append(f"{file.video_id} ({', '.join(never[:5])}{' ...' if never[5:] else ''})")
        values = on_the_body(points, file.path, least=least, gaps=gaps)
        axes = "xyz"[: points.places.shape[-1]]
        columns = tuple(f"{point}.{axis}" for point in points.names for axis in axes)
        result.append(
            Recording(
                file.video_id,
                file.action,
                file.path,
                values,
                columns,
                fps=fps or _DEFAULT_FPS,
                first_row=points.first_frame,
            )
        )
    if unseen:
        warn_of_names(root, "points that are never seen, and count as lying at the centre", unseen)
    return ordered(result)


def _video_name(path: Path) -> str:
    """Return the name of the video that was tracked: without what the program has added."""
    name = re.sub(r"DLC_?[A-Z]?.*$", "", path.stem) or path.stem
    return re.sub(r"\.(analysis|predictions|slp)$", "", name) or path.stem


def best_body(places: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of several bodies (B, T, K, D) return the one that is seen most."""
    seen = np.isfinite(places).all(axis=-1) * np.nan_to_num(confidence)
    best = int(seen.sum(axis=(1, 2)).argmax())
    return places[best], confidence[best]


def padded(cells: list[str], count: int) -> list[str]:
    """Return a row with as many cells as there are columns."""
    return (cells + [""] * count)[:count]


def to_float(text: str) -> float:
    """Return a cell's number, NaN where it holds none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def named_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the names of a table's columns, and its rows.

    Raises:
        UserError: If there are fewer than two rows.
    """
    rows = [cells for _, cells in read_cells(path)]
    columns = [column_name(name) for name in rows[0]] if rows else []
    if len(rows) < 3:
        raise UserError(f"{path}: expected a header and at least 2 rows, but found {len(rows)}.")
    return columns, [padded(row, len(columns)) for row in rows[1:]]
