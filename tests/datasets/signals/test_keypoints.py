"""Key points of a body, as three programs write them: the same body, whatever the file."""

import numpy as np
import pytest

from tests.signal_factory import (
    PARTS,
    body,
    with_likelihood,
    write_deeplabcut_csv,
    write_deeplabcut_h5,
    write_rows,
    write_sleap_h5,
)
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.datasets.signals.keypoints import read_on_the_body
from tpl_lightning.datasets.signals.registry import SIGNALS, import_signals
from tpl_lightning.errors import UserError
from tpl_lightning.features.body import Points

LENGTHS = {"one": 12, "two": 15}


def read(layout, root, *, gaps="refuse"):
    return SIGNALS[layout].read(root, None, gaps=gaps, fps=25)


def on_the_body(points, path, *, gaps="refuse"):
    return read_on_the_body(path, gaps, read=lambda path: points, least=0.5)


def expected(length):
    points = body(length, 0.3) - body(length, 0.3).mean(axis=1, keepdims=True)
    size = np.median(np.sqrt((points**2).sum(axis=-1).mean(axis=1)))
    return (points / size).reshape(length, -1)


def check(recordings, *, names=("one", "two"), axes=2):
    assert [(r.video_id, r.action) for r in recordings] == [(name, "reach") for name in names]
    for recording, length in zip(recordings, LENGTHS.values(), strict=True):
        values = recording.table.values.reshape(length, 4, axes)[..., :2].reshape(length, -1)
        np.testing.assert_allclose(values, expected(length), atol=1e-4)


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


def test_names_labels_and_rate_in_the_cache(tmp_path):
    for name, length in LENGTHS.items():
        write_deeplabcut_csv(tmp_path / "s" / "reach" / f"{name}DLC_net.csv", with_likelihood(body(length, 0.3)))
    (tmp_path / "s" / "annotations.csv").write_text("video_id,phase,start_s,end_s\none,up,0,0.2\none,down,0.2,0.4\n")
    with pytest.warns(UserWarning, match="30 is taken"):
        import_signals("deeplabcut", tmp_path / "s", tmp_path / "o.h5", dataset="s", progress=False)
    cache = EmbeddingCache(tmp_path / "o.h5")
    assert (cache.video_id.tolist(), cache.fps.tolist()) == (["one", "two"], [30, 30])
    np.testing.assert_array_equal(cache.labels(0), [0] * 6 + [1] * 6)
