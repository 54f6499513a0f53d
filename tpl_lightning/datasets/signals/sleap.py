"""SLEAP's analysis files: tracks of nodes with a score each, HDF5 or CSV."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from tpl_lightning.datasets.signals.keypoints import floats, is_hdf5, named_columns, points_of_best_body, points_of_rows
from tpl_lightning.features import Points


def read_sleap(path: Path) -> Points:
    """Read an analysis file ``<video>.analysis.h5`` or ``.csv``; the track that is seen most, while it is.

    Raises:
        ValueError, KeyError: If it is of another layout.
    """
    points = _of_h5(path) if is_hdf5(path) else _of_csv(path)
    seen = np.flatnonzero(np.isfinite(points.places).all(axis=-1).any(axis=1))
    rows = slice(seen[0], seen[-1] + 1) if len(seen) else slice(0, None)
    first = points.first_frame + rows.start
    return replace(points, places=points.places[rows], confidence=points.confidence[rows], first_frame=int(first))


def _of_h5(path: Path) -> Points:
    with h5py.File(path, "r") as file:
        if "tracks" not in file or "node_names" not in file:
            raise ValueError(f"found {[*file]} and not tracks, node_names of `sleap-convert --format analysis`")
        names = [n.decode() if isinstance(n, bytes) else str(n) for n in np.ravel(file["node_names"][:])]
        tracks = file["tracks"][:].astype(np.float64)
        scores = file["point_scores"][:].astype(np.float64) if "point_scores" in file else None
    if tracks.ndim == 4 and tracks.shape[1:3] == (2, len(names)):  # tracks, axes, nodes, frames
        tracks, scores = tracks.T, None if scores is None else scores.T
    elif tracks.ndim != 4 or tracks.shape[1:3] != (len(names), 2):  # frames, nodes, axes, tracks
        raise ValueError(f"expected tracks of shape (tracks, 2, {len(names)}, frames), but found {tracks.shape}")
    places = np.moveaxis(tracks, 3, 0)
    return points_of_best_body(
        names, places, np.ones(places.shape[:3]) if scores is None else np.moveaxis(scores, 2, 0)
    )


def _of_csv(path: Path) -> Points:
    cells = named_columns(path)
    nodes = [name.removesuffix(".x") for name in cells if name.endswith(".x")]
    if not nodes or "frame_idx" not in cells:
        raise ValueError(f"expected the columns frame_idx, <node>.x and <node>.y, but found {', '.join([*cells][:4])}")
    frames, count = cells["frame_idx"], len(nodes)
    places = [np.stack([floats(cells[f"{node}.{axis}"]) for axis in "xy"], axis=1) for node in nodes]
    sure = [floats(cells.get(f"{node}.score", ["1"] * len(frames))) for node in nodes]
    tracks = cells.get("track", [""] * len(frames))
    names = [node for node in nodes for _ in frames]
    return points_of_rows(tracks * count, frames * count, names, np.concatenate(places), np.concatenate(sure))
