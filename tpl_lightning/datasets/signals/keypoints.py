"""Key points of a body over time: gaps where they are doubtful, centred on the body, scaled by its size."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.datasets.signals.recordings import Table, fill_gaps
from tpl_lightning.errors import UserError
from tpl_lightning.features import Points, body_size, centred_on_body
from tpl_lightning.labels import column_name, read_cells

DEFAULT_FPS = 30.0
KEYPOINT_ENDINGS = (".csv", ".h5", ".hdf5")
_LONGEST = 10_000_000  # frames; more is a damaged number


def read_on_the_body(path: Path, gaps: str, *, read: Callable[[Path], Points], least: float) -> Table:
    """Read the key points of a recording: coordinates less the mean over points, over the body's size.

    A point of less confidence than ``least`` is a gap. A point that is never seen lies at the centre.

    Args:
        path: The file.
        gaps: ``interpolate`` or ``refuse``.
        read: From a file to the points of its body; may raise whatever a file of another layout makes it raise.
        least: Confidence.

    Raises:
        UserError: If the file is of another layout, no point is seen, or there are gaps and they are refused.
    """
    try:
        points = read(path)
    except UserError:
        raise
    except (OSError, KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: of another layout than expected ({error}).") from error
    doubtful, width = points.doubtful(least), points.places.shape[2]
    seen = ~doubtful.all(axis=0)
    if not seen.any():
        raise UserError(f"{path}: no point has a confidence of {least:g} in any frame; nothing of the body is seen.")
    places = np.where(doubtful[..., None], np.nan, points.places)[:, seen]
    known = np.repeat(np.array(points.names)[seen], width).tolist()
    body = fill_gaps(places.reshape(len(places), -1), known, path, gaps=gaps).reshape(places.shape)
    if not body_size(body) > 0:
        raise UserError(f"{path}: all points lie at one place; the body has no size.")
    values = np.zeros_like(points.places)
    values[:, seen] = centred_on_body(body)
    never = np.array(points.names)[~seen].tolist()
    which = f"{', '.join(never[:5])}{' ...' if never[5:] else ''}"
    return Table(
        tuple(f"{name}.{axis}" for name in points.names for axis in "xyz"[:width]),
        values.reshape(len(values), -1),
        first_row=points.first_frame,
        doubt=f"points that are never seen, and count as lying at the centre ({which})" if never else "",
    )


def tracked_video(path: Path) -> str:
    """Return the name of the video that was tracked: without what the program has added."""
    name = re.sub(r"DLC_?[A-Z]?.*$", "", path.stem) or path.stem
    return re.sub(r"\.(analysis|predictions|slp)$", "", name) or path.stem


def is_hdf5(path: Path) -> bool:
    """Tell whether a file is HDF5 by its ending."""
    return path.suffix.lower() in KEYPOINT_ENDINGS[1:]


def named_columns(path: Path) -> dict[str, list[str]]:
    """Return the cells of a table's columns by their names.

    Raises:
        ValueError: If there are fewer than two rows.
    """
    rows = [cells for _, cells in read_cells(path)]
    if len(rows) < 3:
        raise ValueError(f"expected a header and at least 2 rows, but found {len(rows)}")
    names = [column_name(name) for name in rows[0]]
    return {name: [row[i] if i < len(row) else "" for row in rows[1:]] for i, name in enumerate(names)}


def floats(cells: Iterable[str]) -> np.ndarray:
    """Return the numbers in cells, NaN where one holds none."""

    def number(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return float("nan")

    return np.array([number(text) for text in cells])


def points_of_columns(columns: Mapping[tuple[Any, str, str], np.ndarray]) -> Points:
    """Return the points of columns (T,) by body, point, and ``x``, ``y``, ``z`` or ``sure``.

    Of several bodies it is the one that is seen most; points that are another set than the first body's are left out.

    Raises:
        ValueError: If no point has x and y.
    """
    points: dict[Any, list[str]] = defaultdict(list)
    for body, point, axis in columns:
        if axis == "x" and (body, point, "y") in columns:
            points[body].append(point)
    if not points:
        raise ValueError("no columns x and y of any point")
    names = next(iter(points.values()))
    bodies = [body for body, own in points.items() if own == names]
    axes = [axis for axis in "xyz" if all((body, name, axis) in columns for body in bodies for name in names)]
    places = [[[columns[body, name, axis] for axis in axes] for name in names] for body in bodies]
    certain = np.ones_like(places[0][0][0])  # files that people have labelled state none
    sure = [[columns.get((body, name, "sure"), certain) for name in names] for body in bodies]
    return points_of_best_body(names, np.moveaxis(np.array(places), 3, 1), np.moveaxis(np.array(sure), 2, 1))


def points_of_rows(
    bodies: Sequence[str], frames: Sequence[str], names: Sequence[str], places: np.ndarray, sure: np.ndarray
) -> Points:
    """Return the points of rows (R,), each of a body, frame and point, with places (R, D) and confidence (R,).

    Of several bodies it is the one that is seen most. Frames run from the first to the last that is named.
    """
    body, name = ({one: place for place, one in enumerate(dict.fromkeys(column))} for column in (bodies, names))
    frame = np.array([int(float(text)) for text in frames])
    if np.ptp(frame) > _LONGEST:
        raise ValueError(f"its frames go from {frame.min()} to {frame.max()}")
    at = [body[one] for one in bodies], frame - frame.min(), [name[one] for one in names]
    grid = np.full((len(body), int(np.ptp(frame)) + 1, len(name), places.shape[1]), np.nan)
    confidence = np.zeros(grid.shape[:3])
    grid[at], confidence[at] = places, sure
    return points_of_best_body(name, grid, confidence, first_frame=int(frame.min()))


def points_of_best_body(
    names: Iterable[str], places: np.ndarray, confidence: np.ndarray, *, first_frame: int = 0
) -> Points:
    """Return the points of the one that is seen most of several bodies, (B, T, K, D) and (B, T, K)."""
    seen = np.isfinite(places).all(axis=-1) * np.nan_to_num(confidence)
    best = int(seen.sum(axis=(1, 2)).argmax())
    return Points(tuple(names), places[best], confidence[best], first_frame)
