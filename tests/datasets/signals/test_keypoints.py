"""Key points of a body, as three programs write them: the same body, whatever the file."""

import numpy as np
import pytest

from tests.datasets.signals.recordings import read
from tests.signal_factory import (
    PARTS,
    body,
    write_rows,
)
from tpl_lightning.datasets.signals.keypoints import read_on_the_body
from tpl_lightning.errors import UserError
from tpl_lightning.features.body import Points


def on_the_body(points, path, *, gaps="refuse"):
    return read_on_the_body(path, gaps, read=lambda path: points, least=0.5)


def test_place_and_size_of_the_body_do_not_count(tmp_path):
    def values(**options):
        points = body(20, 0.3, **options)
        return on_the_body(Points(PARTS, points, np.ones((20, 4))), tmp_path).values

    np.testing.assert_allclose(values(), values(place=(10, 900), size=7.0), atol=1e-9)


def test_doubtful_points_are_gaps_and_unseen_ones_lie_at_the_centre(tmp_path):
    points, sure = body(21, 0.0), np.ones((21, 4))
    points[:, 1, 1] = points[:, 0, 1] + 3 * np.arange(21)  # rises evenly, so that interpolation is exact
    truth = on_the_body(Points(PARTS, points, sure), tmp_path)
    assert not truth.doubt
    wild = points.copy()
    wild[5:8, 1] = -999
    sure[5:8, 1] = 0.1
    found = Points(PARTS, wild, sure)
    np.testing.assert_allclose(on_the_body(found, tmp_path, gaps="interpolate").values, truth.values, atol=1e-9)
    with pytest.raises(UserError, match="gaps, most in column 'left hand'"):
        on_the_body(found, tmp_path)
    sure[:, 3] = 0.0
    table = on_the_body(Points(PARTS, points, sure), tmp_path, gaps="interpolate")
    assert table.doubt == "points that are never seen, and count as lying at the centre (feet)"
    assert not table.values[:, 6:].any()
    with pytest.raises(UserError, match=r"no point has a confidence of 0.5"):
        on_the_body(Points(PARTS, points, np.zeros((21, 4))), tmp_path, gaps="interpolate")


def test_another_layout_is_refused_by_name(tmp_path):
    for name in ("one", "two"):
        write_rows(tmp_path / "reach" / f"{name}.csv", [["a", "b"]], [[1, 2], [3, 4], [5, 6]])
    for layout, said in (
        ("deeplabcut", "scorer, bodyparts and coords"),
        ("sleap", "frame_idx"),
        ("mediapipe", "<point>_x"),
    ):
        with pytest.raises(UserError, match=f"one.csv: .*{said}"):
            read(layout, tmp_path)


def test_a_frame_far_away_is_refused(tmp_path):
    for name in ("one", "two"):
        rows = [[k, "hand", k, 1] for k in (1, 2, 10**9)]
        write_rows(tmp_path / "reach" / f"{name}.csv", [["frame", "landmark", "x", "y"]], rows)
    with pytest.raises(UserError, match=r"one\.csv: .*frames go from 1 to 1000000000"):
        read("mediapipe", tmp_path)
