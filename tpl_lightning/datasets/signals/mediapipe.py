"""MediaPipe's landmarks, which it hands out as numbers only: the tables and arrays in which people keep them."""

import re
from pathlib import Path

import h5py
import numpy as np

from tpl_lightning.datasets.signals.keypoints import floats, is_hdf5, named_columns, points_of_columns, points_of_rows
from tpl_lightning.features import Points

_SURE = ("visibility", "vis", "v", "confidence", "conf", "likelihood", "score", "presence", "c", "p")
_FRAME = ("frame", "frame_idx", "frame_index", "frame_number", "frame_id", "image", "image_id")
# fmt: off
_POINT = (
    "landmark", "landmark_id", "landmark_index", "landmark_name", "keypoint", "joint", "point", "id", "name", "index",
)
# fmt: on


def read_mediapipe(path: Path) -> Points:
    """Read the landmarks of a ``.csv`` or ``.h5``: x, y, z and visibility of each point.

    Raises:
        ValueError: If it is of another layout.
    """
    if is_hdf5(path):
        return _of_h5(path)
    cells = named_columns(path)
    return _of_rows(cells) if "x" in cells and "y" in cells else _of_columns(cells)


def _of_h5(path: Path) -> Points:
    arrays: dict[str, np.ndarray] = {}

    def keep(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim in (2, 3) and item.dtype.kind in "fiu":
            arrays[name] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    landmarks = next((n for n in arrays if "landmark" in n and "world" not in n), None) or next(iter(arrays), None)
    if landmarks is None:
        raise ValueError("expected an array of landmarks (frames, points, 3 or 4), but found none")
    values = arrays[landmarks].astype(np.float64)
    if values.ndim == 2:
        columns = values.shape[1]
        widths = [w for w in (4, 3, 2) if columns == 33 * w] + [w for w in (4, 3, 2) if columns % w == 0]
        if not widths:
            raise ValueError(f"{landmarks}: expected 4 or 3 numbers per point, but found {columns} columns")
        values = values.reshape(len(values), -1, widths[0])
    own = values[..., 3] if values.shape[2] > 3 else np.ones(values.shape[:2])
    sure = next((a for n, a in arrays.items() if n.rpartition("/")[2] in _SURE and a.shape == own.shape), own)
    return Points(tuple(f"point {k}" for k in range(values.shape[1])), values[..., :3], sure)


def _of_columns(cells: dict[str, list[str]]) -> Points:
    """Read a row per frame."""
    named = {key: column for name, column in cells.items() if (key := _point_and_axis(name)) is not None}
    try:
        return points_of_columns({("", *key): floats(column) for key, column in named.items()})
    except ValueError as error:
        raise ValueError(
            "expected columns <point>_x, <point>_y, <point>_z, <point>_visibility, or x0, y0, z0, v0, or a row per "
            f"point (frame, landmark, x, y, z, visibility), but found {', '.join([*cells][:4])}"
        ) from error


def _point_and_axis(name: str) -> tuple[str, str] | None:
    """Return the point and the axis that a column is: nose_x, nose.x, x_nose, x0, 0_x."""
    words = re.split(r"[._\-/ ]+", name)
    short = re.fullmatch(r"([a-z]+?)_?(\d+)", name)
    if short and (short[1] in "xyz" or short[1] in _SURE):
        words = [short[2], short[1]]
    for axis, rest in ((words[-1], words[:-1]), (words[0], words[1:])):
        if rest and (axis in ("x", "y", "z") or axis in _SURE):
            return "_".join(rest), axis if axis in ("x", "y", "z") else "sure"
    return None


def _of_rows(cells: dict[str, list[str]]) -> Points:
    """Read a row per frame and point."""
    frames, names = (next((cells[n] for n in known if n in cells), None) for known in (_FRAME, _POINT))
    if frames is None or names is None:
        raise ValueError(f"expected the columns frame and landmark beside x and y, but found {', '.join(cells)}")
    sure = next((floats(cells[name]) for name in _SURE if name in cells), np.ones(len(frames)))
    places = np.stack([floats(cells[axis]) for axis in "xyz" if axis in cells], axis=1)
    return points_of_rows([""] * len(frames), frames, names, places, sure)
