"""DeepLabCut: a table of x, y and likelihood of each body part, as CSV or as pandas' HDF5."""

import io
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tpl_lightning.datasets.signals.keypoints import floats, is_hdf5, points_of_columns
from tpl_lightning.errors import UserError
from tpl_lightning.features import Points
from tpl_lightning.labels import read_cells

_AXES = {"x": "x", "y": "y", "z": "z", "likelihood": "sure"}
_Keys = list[tuple[str, ...]]
"""Of each column the scorer, of several animals which, the body part and the coordinate."""


def read_deeplabcut(path: Path) -> Points:
    """Read ``<video>DLC_<network>.csv`` or ``.h5``; with several animals the one that is seen most.

    Raises:
        UserError: If it is of another layout.
    """
    keys, numbers = _of_h5(path) if is_hdf5(path) else _of_csv(path)
    columns = zip(keys, numbers.T, strict=True)
    points = points_of_columns({(key[:-2], key[-2], _AXES.get(key[-1], key[-1])): own for key, own in columns})
    if points is None:
        raise UserError(f"{path}: expected columns x, y and likelihood of each body part, but found {keys[0]}.")
    return points


def _of_csv(path: Path) -> tuple[_Keys, np.ndarray]:
    rows = [cells for _, cells in read_cells(path)]
    heads = next((i for i, cells in enumerate(rows) if cells[0].lower() == "coords"), 0)
    if not heads or rows[heads - 1][0].lower() != "bodyparts":
        raise UserError(
            f"{path}: expected the header rows scorer, bodyparts and coords of DeepLabCut, but found "
            f"{', '.join(rows[0][:3]) if rows else 'nothing'}."
        )
    first = next((i for i, cell in enumerate(rows[heads]) if i and cell.lower() in _AXES), 1)
    keys = [(*key[:-1], key[-1].lower()) for key in zip(*(row[first:] for row in rows[: heads + 1]), strict=True)]
    padded = [(row[first:] + [""] * len(keys))[: len(keys)] for row in rows[heads + 1 :]]
    return keys, np.array([floats(row) for row in padded])


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, tuples, strings and numbers; a file of someone else's must not run code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is no plain value")


def _of_h5(path: Path) -> tuple[_Keys, np.ndarray]:
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
        keys = _pickled_keys(group.attrs.get("non_index_axes"))
    if len(keys) == numbers.shape[1]:
        return keys, numbers
    count, rest = divmod(numbers.shape[1], 3)
    if rest:
        raise UserError(
            f"{path}: expected x, y and likelihood of each body part, but found {numbers.shape[1]} columns."
        )
    # As all versions order them.
    return [("", f"point {k + 1}", axis) for k in range(count) for axis in ("x", "y", "likelihood")], numbers


def _pickled_keys(stored: Any) -> _Keys:
    content = stored.tobytes() if isinstance(stored, np.void | np.ndarray) else stored
    content = content.encode() if isinstance(content, str) else content
    try:
        axes = _PlainUnpickler(io.BytesIO(bytes(content)), encoding="latin1").load()
        return [tuple(str(part) for part in key) for key in axes[0][1]]
    except Exception:  # damaged pickles raise anything
        return []
