"""MediaPipe's landmarks, as JSON and csv."""

import numpy as np
import pytest

from tests.datasets.signals.recordings import LENGTHS, check, read
from tests.signal_factory import (
    PARTS,
    body,
    write_rows,
)


@pytest.mark.parametrize("kind", ["nose_x", "x0", "long", "h5", "flat h5"])
def test_mediapipe(tmp_path, kind):
    import h5py

    for name, length in LENGTHS.items():
        points = body(length, 0.3)
        rows = np.concatenate([points, np.zeros((length, 4, 1)), np.full((length, 4, 1), 0.9)], axis=-1)
        path = tmp_path / "reach" / f"{name}.csv"
        flat = rows.reshape(length, -1).tolist()
        if kind == "nose_x":
            parts = [part.replace(" ", "_") for part in PARTS]
            header = ["frame", *(f"{p}_{c}" for p in parts for c in ("x", "y", "z", "visibility"))]
            write_rows(path, [header], [[k, *row] for k, row in enumerate(flat)])
        elif kind == "x0":
            write_rows(path, [[f"{c}{k}" for k in range(4) for c in "xyzv"]], flat)
        elif kind == "long":
            long = [[k, p, *rows[k, p]] for k in range(length) for p in range(4)]
            write_rows(path, [["frame", "landmark", "x", "y", "z", "visibility"]], long)
        else:
            path.parent.mkdir(exist_ok=True)
            with h5py.File(path.with_suffix(".h5"), "w") as file:
                file["pose_landmarks"] = rows if kind == "h5" else rows.reshape(length, -1)
    check(read("mediapipe", tmp_path), axes=3)
