"""DeepLabCut's tables, as csv and HDF5."""

import numpy as np
import pytest

from tests.datasets.signals.recordings import LENGTHS, check, read
from tests.signal_factory import (
    body,
    with_likelihood,
    write_deeplabcut_csv,
    write_deeplabcut_h5,
)


@pytest.mark.parametrize("kind", ["csv", "h5", "h5 by position", "both", "animals"])
def test_deeplabcut(tmp_path, kind):
    for name, length in LENGTHS.items():
        stem = tmp_path / "reach" / f"{name}DLC_resnet50_handsMay1shuffle1_1000"
        rows = with_likelihood(body(length, 0.3))
        animals = ()
        if kind == "animals":
            animals = ("a", "b")
            faint = with_likelihood(body(length, -0.9), np.full((length, 4), 0.3))
            rows = np.concatenate([faint, rows], axis=1)
        if kind != "h5" and "position" not in kind:
            write_deeplabcut_csv(stem.with_suffix(".csv"), rows, animals)
        if kind != "csv":
            write_deeplabcut_h5(stem.with_suffix(".h5"), rows, animals, protocol=4 if kind == "both" else 0)
        if "position" in kind:
            import h5py

            with h5py.File(stem.with_suffix(".h5"), "a") as file:
                del file["df_with_missing"].attrs["non_index_axes"]
    recordings = read("deeplabcut", tmp_path, gaps="interpolate")
    check(recordings)
    assert recordings[0].table.columns[:2] == (
        ("point 1.x", "point 1.y") if "position" in kind else ("head.x", "head.y")
    )


def test_a_pickle_in_a_file_runs_no_code(tmp_path):
    import os

    import h5py

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    import pickle

    for name, length in LENGTHS.items():
        path = tmp_path / "set" / "reach" / f"{name}.h5"
        write_deeplabcut_h5(path, with_likelihood(body(length, 0.3)))
        with h5py.File(path, "a") as file:
            file["df_with_missing"].attrs["non_index_axes"] = np.void(pickle.dumps(Evil(), 0))
    check(read("deeplabcut", tmp_path / "set", gaps="interpolate"))
    assert not (tmp_path / "made").exists()
