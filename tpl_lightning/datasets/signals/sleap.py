"""SLEAP's analysis files: tracks of nodes with a score each, HDF5 or CSV."""

from pathlib import Path

import h5py
import numpy as np

from tpl_lightning.datasets.signals.keypoints import H5_ENDINGS, best_body, named_rows, read_keypoints, to_float
from tpl_lightning.datasets.signals.recordings import Recording
from tpl_lightning.errors import UserError
from tpl_lightning.features import Points

__all__ = ["read_sleap"]


def read_sleap(root: Path, annotations: Path | None, *, gaps: str, fps: float | None) -> list[Recording]:
    """Read SLEAP's analysis files ``<root>/<action>/<video>.analysis.h5`` or ``.csv``; the track that is seen most.

    Raises:
        UserError: If a file is of another layout.
    """
    return read_keypoints(root, annotations, _sleap, least=0.2, gaps=gaps, fps=fps)


def _sleap(path: Path) -> Points:
    return _sleap_h5(path) if path.suffix.lower() in H5_ENDINGS else _sleap_csv(path)


def _sleap_h5(path: Path) -> Points:
    with h5py.File(path, "r") as file:
        if "tracks" not in file or "node_names" not in file:
            raise UserError(
                f"{path}: expected SLEAP's analysis file with tracks and node_names, but found {', '.join(file)}; "
                "export it with `sleap-convert --format analysis`."
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
    return _trimmed(names, *best_body(places, np.ones(places.shape[:3]) if scores is None else scores))


def _sleap_csv(path: Path) -> Points:
    columns, rows = named_rows(path)
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
            places[at] = to_float(row[column[f"{name}.x"]]), to_float(row[column[f"{name}.y"]])
            scores[at] = to_float(row[column[f"{name}.score"]]) if f"{name}.score" in column else 1.0
    return _trimmed(tuple(names), *best_body(places, scores))


def _trimmed(names: tuple[str, ...], places: np.ndarray, confidence: np.ndarray) -> Points:
    """Leave out frames before the body appears and after it has gone."""
    seen = np.flatnonzero(np.isfinite(places).all(axis=-1).any(axis=1))
    first, end = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (0, len(places))
    return Points(names, places[first:end], confidence[first:end], first)
