"""MediaPipe's landmarks, which it hands out as numbers only: the tables and arrays in which people keep them."""

import re
from pathlib import Path

import h5py
import numpy as np

from tpl_lightning.datasets.signals.keypoints import H5_ENDINGS, named_rows, read_keypoints, to_float
from tpl_lightning.datasets.signals.recordings import Recording
from tpl_lightning.errors import UserError
from tpl_lightning.features import Points

__all__ = ["read_mediapipe"]

_SURE = ("visibility", "vis", "v", "confidence", "conf", "likelihood", "score", "presence", "c", "p")
_FRAME = ("frame", "frame_idx", "frame_index", "frame_number", "frame_id", "image", "image_id")
_POINT = (
    "landmark",
    "landmark_id",
    "landmark_index",
    "landmark_name",
    "keypoint",
    "joint",
    "point",
    "id",
    "name",
    "index",
)


def read_mediapipe(root: Path, annotations: Path | None, *, gaps: str, fps: float | None) -> list[Recording]:
    """Read landmarks ``<root>/<action>/<video>.csv`` or ``.h5``: x, y, z and visibility of each point.

    Raises:
        UserError: If a file is of another layout.
    """
    return read_keypoints(root, annotations, _mediapipe, least=0.5, gaps=gaps, fps=fps)


def _mediapipe(path: Path) -> Points:
    return _points_h5(path) if path.suffix.lower() in H5_ENDINGS else _points_csv(path)


def _points_h5(path: Path) -> Points:
    with h5py.File(path, "r") as file:
        found: dict[str, np.ndarray] = {}
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    arrays = {
        name: a for name, a in found.items() if isinstance(a, np.ndarray) and a.ndim in (2, 3) and a.dtype.kind in "fiu"
    }
    landmarks = next((n for n in arrays if "landmark" in n and "world" not in n), None) or next(iter(arrays), None)
    if landmarks is None:
        raise UserError(
            f"{path}: expected an array of landmarks (frames, points, 3 or 4), but found {', '.join(found)}."
        )
    values = arrays[landmarks].astype(np.float64)
    if values.ndim == 2:
        width = next((w for w in (4, 3, 2) if values.shape[1] == 33 * w), None)
        width = width or next((w for w in (4, 3, 2) if values.shape[1] % w == 0), 0)
        if not width:
            raise UserError(
                f"{path}: {landmarks}: expected 4 or 3 numbers per point, but found {values.shape[1]} columns."
            )
        values = values.reshape(len(values), -1, width)
    axes = min(values.shape[2], 3)
    own = values[..., 3] if values.shape[2] > 3 else None
    sure = next((a for n, a in arrays.items() if n.rpartition("/")[2] in _SURE and a.shape == values.shape[:2]), own)
    names = tuple(f"point {k}" for k in range(values.shape[1]))
    return Points(names, values[..., :axes], np.ones(values.shape[:2]) if sure is None else sure)


def _points_csv(path: Path) -> Points:
    columns, rows = named_rows(path)
    if "x" in columns and "y" in columns:
        return _long(path, columns, rows)
    parts = [_split(name) for name in columns]
    names = list(dict.fromkeys(part[0] for part in parts if part is not None and part[1] == "x"))
    found = {part: number for number, part in enumerate(parts) if part is not None}
    names = [name for name in names if (name, "y") in found]
    if not names:
        raise UserError(
            f"{path}: expected columns <point>_x, <point>_y, <point>_z, <point>_visibility, or x0, y0, z0, v0, or a "
            f"row per point (frame, landmark, x, y, z, visibility), but found {', '.join(columns[:4])}."
        )
    axes = [axis for axis in "xyz" if all((name, axis) in found for name in names)]
    numbers = np.array([[to_float(cell) for cell in row] for row in rows])
    places = np.stack([np.stack([numbers[:, found[name, axis]] for axis in axes], -1) for name in names], 1)
    sure = [numbers[:, found[name, "sure"]] if (name, "sure") in found else np.ones(len(rows)) for name in names]
    return Points(tuple(names), places, np.stack(sure, 1))


def _split(name: str) -> tuple[str, str] | None:
    """Return the point and the axis that a column is: nose_x, nose.x, x_nose, x0, 0_x."""
    words = re.split(r"[._\-/ ]+", name)
    short = re.fullmatch(r"([a-z]+?)_?(\d+)", name)
    if short and (short[1] in "xyz" or short[1] in _SURE):
        words = [short[2], short[1]]
    if len(words) < 2:
        return None
    for axis, rest in ((words[-1], words[:-1]), (words[0], words[1:])):
        if axis in ("x", "y", "z") or axis in _SURE:
            return "_".join(rest), axis if axis in ("x", "y", "z") else "sure"
    return None


def _long(path: Path, columns: list[str], rows: list[list[str]]) -> Points:
    """Read a row per frame and point."""
    column = {name: number for number, name in enumerate(columns)}
    frame = next((column[name] for name in _FRAME if name in column), None)
    point = next((column[name] for name in _POINT if name in column), None)
    if frame is None or point is None:
        raise UserError(
            f"{path}: expected the columns frame and landmark beside x and y, but found {', '.join(columns)}."
        )
    sure = next((column[name] for name in _SURE if name in column), None)
    axes = [column[axis] for axis in "xyz" if axis in column]
    names = list(dict.fromkeys(row[point] for row in rows))
    frames = np.array([int(float(row[frame])) for row in rows])
    first = int(frames.min())
    places = np.full((int(frames.max()) - first + 1, len(names), len(axes)), np.nan)
    confidence = np.zeros(places.shape[:2])
    place = {name: k for k, name in enumerate(names)}
    for row, number in zip(rows, frames - first, strict=True):
        places[number, place[row[point]]] = [to_float(row[axis]) for axis in axes]
        confidence[number, place[row[point]]] = 1.0 if sure is None else to_float(row[sure])
    return Points(tuple(names), places, confidence, first)
