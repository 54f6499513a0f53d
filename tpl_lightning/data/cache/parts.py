"""Whether a dataset is whole: for missing parts HDF5 gives zeros, or its fill value, and says nothing."""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def check_parts(dataset: h5py.Dataset) -> str | None:
    """Return what is missing of a dataset whose rows are made of other files or chunks; None where all is there."""
    if dataset.is_virtual:
        return _missing_source(dataset)
    if dataset.external:
        return _short_storage(dataset)
    if dataset.size == 0 or dataset.id.get_create_plist().fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED:
        return None  # a value that was chosen, as -1 for frames without a label
    if dataset.chunks is None:
        written = dataset.id.get_storage_size() > 0
        return None if written else "none of its rows was ever written"
    expected = int(np.prod([-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)]))
    found = dataset.id.get_num_chunks()
    return None if found >= expected else f"{expected - found} of its {expected} chunks were never written"


def _missing_source(dataset: h5py.Dataset) -> str | None:
    folder = Path(dataset.file.filename).parent
    covered, is_bounded = 0, True
    for source in dataset.virtual_sources():
        count = source.vspace.get_select_npoints()
        is_bounded &= 0 <= count <= dataset.size
        covered += count
        if "%b" in source.file_name + source.dset_name:  # a pattern; HDF5 takes those that there are
            continue
        if source.file_name == ".":
            found = _missing_in(dataset.file, source)
        else:
            path = next((p for p in (folder / source.file_name, Path(source.file_name)) if p.is_file()), None)
            if path is None:
                return f"its source {source.file_name} is not there"
            try:
                with h5py.File(path, "r") as file:
                    found = _missing_in(file, source)
            except OSError:
                found = "is no readable HDF5 file"
        if found is not None:
            return f"its source {source.file_name} {found}"
    if is_bounded and covered < dataset.size:
        return f"its sources hold {covered} of {dataset.size} values"
    return None


def _missing_in(file: h5py.File, source: Any) -> str | None:
    part = file.get(source.dset_name)
    if not isinstance(part, h5py.Dataset):
        return f"has no dataset {source.dset_name!r}"
    space = source.src_space
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        is_short = 0 <= part.size < source.vspace.get_select_npoints()
    else:
        ends = space.get_select_bounds()[1]
        is_short = len(ends) != part.ndim or any(end >= size for end, size in zip(ends, part.shape, strict=True))
    if is_short:
        return f"has only {part.shape} values in {source.dset_name!r}"
    missing = check_parts(part)
    return None if missing is None else f"is not whole: {missing}"


def _short_storage(dataset: h5py.Dataset) -> str | None:
    left = dataset.size * dataset.id.get_type().get_size()
    for name, offset, size in dataset.external:
        path = Path(os.fsdecode(name))
        if left <= 0:
            return None
        if not path.is_file():
            return f"its storage {path} is not there"
        part = min(left, size)
        if path.stat().st_size < offset + part:
            return f"its storage {path} has {path.stat().st_size} bytes, expected at least {offset + part}"
        left -= part
    return None
