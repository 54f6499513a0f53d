"""SLEAP's exports, as HDF5 and csv."""

import numpy as np
import pytest

from tests.datasets.signals.recordings import LENGTHS, check, read
from tests.signal_factory import (
    PARTS,
    body,
    with_likelihood,
    write_rows,
    write_sleap_h5,
)


@pytest.mark.parametrize("standard", [False, True])
def test_sleap_h5_takes_the_track_that_is_seen_most(tmp_path, standard):
    for name, length in LENGTHS.items():
        points = np.stack([np.full((length + 3, 4, 2), np.nan), np.full((length + 3, 4, 2), np.nan)])
        points[1, 3:] = body(length, 0.3)
        points[0, 4:6] = 5.0
        scores = np.where(np.isnan(points[..., 0]), 0, 0.9)
        write_sleap_h5(tmp_path / "reach" / f"{name}.analysis.h5", points, scores, standard=standard)
    recordings = read("sleap", tmp_path)
    check(recordings)
    assert recordings[0].table.first_row == 3


def test_sleap_csv(tmp_path):
    header = ["track", "frame_idx", "instance.score", *(f"{p}.{c}" for p in PARTS for c in ("x", "y", "score"))]
    for name, length in LENGTHS.items():
        rows = with_likelihood(body(length, 0.3))
        kept = [["track_0", k + 2, 0.9, *row] for k, row in enumerate(rows)]
        write_rows(tmp_path / "reach" / f"{name}.csv", [header], kept)
    recordings = read("sleap", tmp_path)
    check(recordings)
    assert recordings[0].table.first_row == 2
