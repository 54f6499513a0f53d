"""Key points of a body over time: gaps where they are doubtful, centred on the body, scaled by its size."""

import io
import pickle
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tpl_lightning.datasets.importers.video_tree import find_annotations
from tpl_lightning.datasets.signals.recordings import Recording, fill_gaps, find_recordings, ordered
from tpl_lightning.errors import UserError
from tpl_lightning.labels import column_name, read_cells

__all__ = ["Points", "on_the_body", "read_deeplabcut", "read_mediapipe", "read_sleap"]

_DEFAULT_FPS = 30.0
_H5 = (".h5", ".hdf5")


@dataclass(frozen=True)
class Points:
    """Key points of one body."""

    names: tuple[str, ...]
    places: np.ndarray
    """(T, K, D) coordinates, D = 2 or 3; NaN where a point was not seen."""
    confidence: np.ndarray
    """(T, K), 1 where the file states none."""
    first_frame: int = 0


def on_the_body(points: Points, path: Path, *, least: float, gaps: str) -> np.ndarray:
    """Return coordinates relative to the body: gaps filled, less the mean over points, over the body's size.

    Convention:
        A point of less confidence than ``least`` is a gap. The centre is the mean over the points of each frame; the
        size is the median over frames of the root mean square distance from it, one number per recording, so that
        bending does not count as distance. A point that is never seen lies at the centre.

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
    doubtful = ~(points.confidence >= least) | ~np.isfinite(points.places).all(axis=-1)
    places = np.where(doubtful[..., None], np.nan, points.places)
    seen = ~doubtful.all(axis=0)
    if not seen.any():
        raise UserError(f"{path}: no point has a confidence of {least:g} in any frame; nothing of the body is seen.")
    if not seen.all():
        never = ", ".join(name for name, known in zip(points.names, seen, strict=True) if not known)
        warnings.warn(f"{path}: never seen: {never}", stacklevel=2)
    count, _, axes = places.shape
    names = [name for name, known in zip(points.names, seen, strict=True) if known for _ in range(axes)]
    flat = fill_gaps(places[:, seen].reshape(count, -1), names, path, gaps=gaps)
    body = flat.reshape(count, -1, axes)
    body = body - body.mean(axis=1, keepdims=True)
    size = float(np.median(np.sqrt((body**2).sum(axis=-1).mean(axis=1))))
    if not size > 0:
        raise UserError(f"{path}: all points lie at one place; the body has no size.")
    result = np.zeros_like(places)
    result[:, seen] = body / size
    return result.reshape(count, -1)


def read_deeplabcut(root: Path, annotations: Path | None, *, gaps: str, fps: float | None) -> list[Recording]:
    """Read ``<root>/<action>/<video>DLC_<network>.csv`` or ``.h5``; with several animals the one that is seen most.

    Raises:
        UserError: If a file is of another layout.
    """
    return _read(root, annotations, _deeplabcut, least=0.6, gaps=gaps, fps=fps)


def read_sleap(root: Path, annotations: Path | None, *, gaps: str, fps: float | None) -> list[Recording]:
    """Read SLEAP's analysis files ``<root>/<action>/<video>.analysis.h5`` or ``.csv``; the track that is seen most.

    Raises:
        UserError: If a file is of another layout.
    """
    return _read(root, annotations, _sleap, least=0.2, gaps=gaps, fps=fps)


def read_mediapipe(root: Path, annotations: Path | None, *, gaps: str, fps: float | None) -> list[Recording]:
    """Read landmarks ``<root>/<action>/<video>.csv`` or ``.h5``: x, y, z and visibility of each point.

    Raises:
        UserError: If a file is of another layout.
    """
    return _read(root, annotations, _mediapipe, least=0.5, gaps=gaps, fps=fps)


def _read(
    root: Path,
    annotations: Path | None,
    reader: Callable[[Path], Points],
    *,
    least: float,
    gaps: str,
    fps: float | None,
) -> list[Recording]:
    files = find_recordings(root, (".csv", *_H5), leave=[annotations, find_annotations(root)])
    both = {file.path.with_suffix("") for file in files if file.path.suffix.lower() == ".csv"}
    files = [f for f in files if f.path.suffix.lower() == ".csv" or f.path.with_suffix("") not in both]
    if fps is None:
        warnings.warn(
            f"the files state no frame rate; {_DEFAULT_FPS:g} is taken, fps=NUMBER says another", stacklevel=3
        )
    bare = [_video_name(file.path) for file in files]
    result = []
    for file, name in zip(files, bare, strict=True):
        try:
            points = reader(file.path)
        except (OSError, KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{file.path}: of another layout than expected ({error}).") from error
        values = on_the_body(points, file.path, least=least, gaps=gaps)
        axes = "xyz"[: points.places.shape[-1]]
        columns = tuple(f"{point}.{axis}" for point in points.names for axis in axes)
        alone = file.video_id == file.path.stem and bare.count(name) == 1
        result.append(
            Recording(
                name if alone else file.video_id,
                file.action,
                file.path,
                values,
                columns,
                fps=fps or _DEFAULT_FPS,
                first_row=points.first_frame,
            )
        )
    return ordered(result)


def _video_name(path: Path) -> str:
    """Return the name of the video that was tracked: without what the program has added."""
    name = re.sub(r"DLC_?[A-Z]?.*$", "", path.stem) or path.stem
    return re.sub(r"\.(analysis|predictions|slp)$", "", name) or path.stem


def _best(places: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of several bodies (B, T, K, D) return the one that is seen most."""
    seen = np.isfinite(places).all(axis=-1) * np.nan_to_num(confidence)
    best = int(seen.sum(axis=(1, 2)).argmax())
    return places[best], confidence[best]


# DeepLabCut


def _deeplabcut(path: Path) -> Points:
    keys, numbers = _deeplabcut_h5(path) if path.suffix.lower() in _H5 else _deeplabcut_csv(path)
    bodies = list(dict.fromkeys(key[:-2] for key in keys))  # scorer, and of several animals which
    parts: dict[Any, list[str]] = {body: list(dict.fromkeys(k[-2] for k in keys if k[:-2] == body)) for body in bodies}
    names = parts[bodies[0]]
    bodies = [body for body in bodies if parts[body] == names]  # not the points that animals share
    axes = [axis for axis in "xyz" if (*bodies[0], names[0], axis) in keys]
    if len(axes) < 2:
        raise UserError(f"{path}: expected columns x, y and likelihood of each body part, but found {keys[0]}.")
    column = {key: number for number, key in enumerate(keys)}
    places = np.array([[[numbers[:, column[(*b, n, a)]] for a in axes] for n in names] for b in bodies])
    sure = np.array(
        [
            [
                numbers[:, column[(*b, n, "likelihood")]] if (*b, n, "likelihood") in column else np.ones(len(numbers))
                for n in names
            ]
            for b in bodies
        ]
    )
    return Points(tuple(names), *_best(places.transpose(0, 3, 1, 2), sure.transpose(0, 2, 1)))


def _deeplabcut_csv(path: Path) -> tuple[list[tuple[str, ...]], np.ndarray]:
    rows = [cells for _, cells in read_cells(path)]
    heads = next((i for i, cells in enumerate(rows) if cells[0].lower() == "coords"), None)
    if heads is None or heads < 1 or rows[heads - 1][0].lower() != "bodyparts":
        raise UserError(
            f"{path}: expected the header rows scorer, bodyparts and coords of DeepLabCut, but found "
            f"{', '.join(rows[0][:3]) if rows else 'nothing'}."
        )
    first = next((i for i, cell in enumerate(rows[heads]) if i and cell.lower() in ("x", "y", "z")), 1)
    keys = list(zip(*(row[first:] for row in rows[: heads + 1]), strict=True))
    keys = [(*key[:-1], key[-1].lower()) for key in keys]
    return keys, np.array([[_float(cell) for cell in _padded(row[first:], len(keys))] for row in rows[heads + 1 :]])


def _padded(cells: list[str], count: int) -> list[str]:
    return (cells + [""] * count)[:count]


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, tuples, strings and numbers; a file of someone else's must not run code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is no plain value")


def _deeplabcut_h5(path: Path) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Read what pandas writes with ``to_hdf(format="table")``, without pandas and PyTables."""
    with h5py.File(path, "r") as file:
        group = next((g for g in file.values() if isinstance(g, h5py.Group) and "table" in g), None)
        if group is None:
            raise UserError(
                f"{path}: expected DeepLabCut's table (df_with_missing/table), but found {', '.join(file) or 'nothing'}."
            )
        table = group["table"][:]
        blocks = [name for name in table.dtype.names or () if name.startswith("values_block_")]
        numbers = np.concatenate([table[name].reshape(len(table), -1) for name in blocks], axis=1).astype(np.float64)
        stored = group.attrs.get("non_index_axes")
    keys = _pickled_columns(stored)
    if keys is None or len(keys) != numbers.shape[1]:  # as all versions order them
        count, rest = divmod(numbers.shape[1], 3)
        if rest:
            raise UserError(
                f"{path}: expected x, y and likelihood of each body part, but found {numbers.shape[1]} columns."
            )
        keys = [("", f"point {k + 1}", axis) for k in range(count) for axis in ("x", "y", "likelihood")]
    return keys, numbers


def _pickled_columns(stored: Any) -> list[tuple[str, ...]] | None:
    content = stored.tobytes() if isinstance(stored, np.void | np.ndarray) else stored
    content = content.encode() if isinstance(content, str) else content
    try:
        axes = _PlainUnpickler(io.BytesIO(bytes(content)), encoding="latin1").load()
        return [tuple(str(part) for part in key) for key in axes[0][1]]
    except Exception:  # damaged pickles raise anything
        return None


# SLEAP


def _sleap(path: Path) -> Points:
    return _sleap_h5(path) if path.suffix.lower() in _H5 else _sleap_csv(path)


def _sleap_h5(path: Path) -> Points:
    with h5py.File(path, "r") as file:
        if "tracks" not in file or "node_names" not in file:
            raise UserError(
                f"{path}: expected SLEAP's analysis file with tracks and node_names, but found {', '.join(file)}; export "
                "it with `sleap-convert --format analysis`."
            )
        names = tuple(n.decode() if isinstance(n, bytes) else str(n) for n in np.ravel(file["node_names"][:]))
        tracks = file["tracks"][:].astype(np.float64)
        scores = file["point_scores"][:].astype(np.float64) if "point_scores" in file else None
    count = len(names)
    if tracks.ndim != 4 or count not in tracks.shape:
        raise UserError(f"{path}: expected tracks of {count} nodes, but found the shape {tracks.shape}.")
    if tracks.shape[1:3] == (2, count):  # tracks, axes, nodes, frames
        places = tracks.transpose(0, 3, 2, 1)
        scores = None if scores is None else scores.transpose(0, 2, 1)
    elif tracks.shape[1:3] == (count, 2):  # frames, nodes, axes, tracks
        places = tracks.transpose(3, 0, 1, 2)
        scores = None if scores is None else scores.transpose(2, 0, 1)
    else:
        raise UserError(f"{path}: expected tracks of shape (tracks, 2, {count}, frames), but found {tracks.shape}.")
    return _trimmed(names, *_best(places, np.ones(places.shape[:3]) if scores is None else scores))


def _sleap_csv(path: Path) -> Points:
    columns, rows = _named_rows(path)
    names = [name[: -len(".x")] for name in columns if name.endswith(".x")]
    if not names or "frame_idx" not in columns:
        raise UserError(
            f"{path}: expected SLEAP's columns frame_idx, <node>.x, <node>.y, but found {', '.join(columns[:4])}."
        )
    column = {name: number for number, name in enumerate(columns)}
    frames = np.array([int(float(row[column["frame_idx"]])) for row in rows])
    bodies = [row[column["track"]] if "track" in column else "" for row in rows]
    tracks = list(dict.fromkeys(bodies))
    places = np.full((len(tracks), frames.max() + 1, len(names), 2), np.nan)
    scores = np.zeros(places.shape[:3])
    for row, frame, body in zip(rows, frames, bodies, strict=True):
        for k, name in enumerate(names):
            at = tracks.index(body), frame, k
            places[at] = _float(row[column[f"{name}.x"]]), _float(row[column[f"{name}.y"]])
            scores[at] = _float(row[column[f"{name}.score"]]) if f"{name}.score" in column else 1.0
    return _trimmed(tuple(names), *_best(places, scores))


def _trimmed(names: tuple[str, ...], places: np.ndarray, confidence: np.ndarray) -> Points:
    """Leave out frames before the body appears and after it has gone."""
    seen = np.flatnonzero(np.isfinite(places).all(axis=-1).any(axis=1))
    first, end = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (0, len(places))
    return Points(names, places[first:end], confidence[first:end], first)


def _named_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    rows = [cells for _, cells in read_cells(path)]
    columns = [column_name(name) for name in rows[0]] if rows else []
    if len(rows) < 3:
        raise UserError(f"{path}: expected a header and at least 2 rows, but found {len(rows)}.")
    return columns, [_padded(row, len(columns)) for row in rows[1:]]


# MediaPipe


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


def _mediapipe(path: Path) -> Points:
    return _points_h5(path) if path.suffix.lower() in _H5 else _points_csv(path)


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
    columns, rows = _named_rows(path)
    if "x" in columns and "y" in columns:
        return _long(path, columns, rows)
    parts = [_split(name) for name in columns]
    names = list(dict.fromkeys(part[0] for part in parts if part is not None and part[1] == "x"))
    found = {part: number for number, part in enumerate(parts) if part is not None}
    names = [name for name in names if (name, "y") in found]
    if not names:
        raise UserError(
            f"{path}: expected columns <point>_x, <point>_y, <point>_z, <point>_visibility, or x0, y0, z0, v0, or a row "
            f"per point (frame, landmark, x, y, z, visibility), but found {', '.join(columns[:4])}."
        )
    axes = [axis for axis in "xyz" if all((name, axis) in found for name in names)]
    numbers = np.array([[_float(cell) for cell in row] for row in rows])
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
        places[number, place[row[point]]] = [_float(row[axis]) for axis in axes]
        confidence[number, place[row[point]]] = 1.0 if sure is None else _float(row[sure])
    return Points(tuple(names), places, confidence, first)
