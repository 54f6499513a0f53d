"""DeepLabCut: a table of x, y and likelihood of each body part, as CSV or as pandas' HDF5."""

import io
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tpl_lightning.datasets.signals.keypoints import floats, is_hdf5, points_of_columns
from tpl_lightning.features import Points
from tpl_lightning.labels import read_cells

_AXES = {"x": "x", "y": "y", "z": "z", "likelihood": "sure"}
_Keys = list[tuple[str, ...]]
"""Of each column the scorer, of several animals which, the body part and the coordinate."""


def read_deeplabcut(path: Path) -> Points:
    """Read ``<video>DLC_<network>.csv`` or ``.h5``; with several animals the one that is seen most.

    Raises:
        ValueError: If it is of another layout.
    """
    keys, numbers = _of_h5(path) if is_hdf5(path) else _of_csv(path)
    columns = zip(keys, numbers.T, strict=True)
    return points_of_columns({(key[:-2], key[-2], _AXES.get(key[-1], key[-1])): own for key, own in columns})


def _of_csv(path: Path) -> tuple[_Keys, np.ndarray]:
    rows = [cells for _, cells in read_cells(path)]
    heads = next((i for i, cells in enumerate(rows) if cells[0].lower() == "coords"), 0)
    if not heads or rows[heads - 1][0].lower() != "bodyparts":
        raise ValueError(f"expected header rows scorer, bodyparts and coords, but found {rows[:1]}")
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
            raise ValueError(f"expected df_with_missing/table, but found {', '.join(file) or 'nothing'}")
        table, stored = group["table"][:], group.attrs.get("non_index_axes")
    blocks = [table[name] for name in table.dtype.names or () if name.startswith("values_block_")]
    numbers = np.concatenate([block.reshape(len(table), -1) for block in blocks], axis=1).astype(np.float64)
    try:
        content = bytes(stored.encode() if isinstance(stored, str) else stored)
        axes = _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()
        keys = [tuple(str(part) for part in key) for key in axes[0][1]]
    except Exception:  # damaged pickles raise anything
        keys = []
    count, rest = divmod(numbers.shape[1], 3)
    if len(keys) != numbers.shape[1]:  # as all versions order them
        if rest:
            raise ValueError(f"expected x, y and likelihood of each body part, but found {numbers.shape[1]} columns")
        keys = [("", f"point {k + 1}", axis) for k in range(count) for axis in ("x", "y", "likelihood")]
    return keys, numbers
