"""DeepLabCut: a table of x, y and likelihood of each body part, as CSV or as pandas' HDF5."""

import io
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tpl_lightning.datasets.signals.keypoints import H5_ENDINGS, best_body, padded, read_keypoints, to_float
from tpl_lightning.datasets.signals.recordings import Recording
from tpl_lightning.errors import UserError
from tpl_lightning.features import Points
from tpl_lightning.labels import read_cells

__all__ = ["read_deeplabcut"]


def read_deeplabcut(root: Path, annotations: Path | None, *, gaps: str, fps: float | None) -> list[Recording]:
    """Read ``<root>/<action>/<video>DLC_<network>.csv`` or ``.h5``; with several animals the one that is seen most.

    Raises:
        UserError: If a file is of another layout.
    """
    return read_keypoints(root, annotations, _deeplabcut, least=0.6, gaps=gaps, fps=fps)


def _deeplabcut(path: Path) -> Points:
    keys, numbers = _deeplabcut_h5(path) if path.suffix.lower() in H5_ENDINGS else _deeplabcut_csv(path)
    bodies = list(dict.fromkeys(key[:-2] for key in keys))  # scorer, and of several animals which
    parts: dict[Any, list[str]] = {body: list(dict.fromkeys(k[-2] for k in keys if k[:-2] == body)) for body in bodies}
    names = parts[bodies[0]]
    bodies = [body for body in bodies if parts[body] == names]  # not the points that animals share
    axes = [axis for axis in "xyz" if (*bodies[0], names[0], axis) in keys]
    if len(axes) < 2:
        raise UserError(f"{path}: expected columns x, y and likelihood of each body part, but found {keys[0]}.")
    column = dict(zip(keys, numbers.T, strict=True))
    certain = np.ones(len(numbers))  # files that people have labelled state none
    places = np.array(
        [[[column.get((*body, name, axis), certain) for axis in axes] for name in names] for body in bodies]
    )
    sure = np.array([[column.get((*body, name, "likelihood"), certain) for name in names] for body in bodies])
    return Points(tuple(names), *best_body(places.transpose(0, 3, 1, 2), sure.transpose(0, 2, 1)))


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
    return keys, np.array([[to_float(cell) for cell in padded(row[first:], len(keys))] for row in rows[heads + 1 :]])


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
                f"{path}: expected DeepLabCut's df_with_missing/table, but found {', '.join(file) or 'nothing'}."
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
