"""The Alignment file, its rows by name, and its table of frames."""

import sys

import h5py
import numpy as np
import pytest

from tests.evaluation.alignments import warped
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation.alignment import Alignment


@pytest.fixture
def videos(cache):
    return VideoSet(cache)


def test_file_round_trip_and_layout(videos, tmp_path):
    alignment = warped(videos)
    alignment.save(tmp_path / "alignment.h5")
    again = Alignment.load(tmp_path / "alignment.h5")
    for i in range(len(videos)):
        np.testing.assert_array_equal(again.position(i), alignment.position(i))
        np.testing.assert_array_equal(again.source(i), alignment.source(i))
    assert again.lengths.tolist() == videos.lengths.tolist()
    with h5py.File(tmp_path / "alignment.h5") as file:
        kinds = {name: file[name].dtype for name in file}
        assert file["video_id"].asstr()[0] == videos.video_id[0]
    assert kinds["prototype_position"] == kinds["source_position"] == np.float32
    assert kinds["offsets"] == kinds["source_offsets"] == kinds["prototype_length"] == np.int64


def test_positions_never_fall_nor_leave_the_unit_interval():
    text = np.array(["a"])
    made = Alignment.from_rows(
        video_id=text,
        action=text,
        split=text,
        positions=[np.array([-1e-9, 0.5, 0.5 - 1e-8, 1.0000001])],
        sources=[np.ones(2)],
    )
    assert (np.diff(made.position(0)) >= 0).all()
    assert (made.position(0).min(), made.position(0).max()) == (0, 1)


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(UserError, match="no alignment"):
        Alignment.load(tmp_path / "x.h5")
    (tmp_path / "x.h5").write_text("hello")
    with pytest.raises(UserError, match=r"x\.h5"):
        Alignment.load(tmp_path / "x.h5")


def test_a_warp_that_is_not_finite_names_its_video():
    warps = {"positions": [np.array([0.0, np.nan])], "sources": [np.array([0.0, 1.0])]}
    with pytest.raises(UserError, match="video 'jump_1': its warp is not finite"):
        Alignment.from_rows(video_id=np.array(["jump_1"]), action=np.array(["jump"]), split=np.array(["test"]), **warps)


def test_a_video_is_found_by_row_or_name_and_its_warp_is_a_function(videos):
    alignment = warped(videos)
    name = str(alignment.video_id[2])
    assert alignment.row(name) == alignment.row(2) == alignment.row(2 - len(videos)) == 2
    warp = alignment.warp(name)
    np.testing.assert_allclose(warp(np.linspace(0, 1, 20)), np.linspace(0, 1, 20) ** (1 / 1.4), atol=1e-6)
    np.testing.assert_allclose(warp.inverse(warp(0.5)), 0.5, atol=0.01)
    np.testing.assert_allclose(warp.frame(1.0), videos.lengths[2] - 1)
    np.testing.assert_allclose(warp.prototype_time(np.arange(videos.lengths[2])), alignment.position(2))
    for video in ("nobody", len(videos)):
        with pytest.raises(UserError, match="not among the 8 videos"):
            alignment.warp(video)
    part = alignment.select(np.array([5, 2]))
    assert part.video_id.tolist() == [str(alignment.video_id[5]), name]
    np.testing.assert_array_equal(part.source(1), alignment.source(2))


def test_a_table_has_a_row_for_each_frame(videos, monkeypatch):
    alignment = warped(videos)
    table = alignment.to_frames()
    assert len(table) == int(videos.lengths.sum())
    second = table[table.video_id == alignment.video_id[1]]
    assert second.frame.tolist() == list(range(int(videos.lengths[1])))
    np.testing.assert_array_equal(second.prototype_position, alignment.position(1))
    np.testing.assert_allclose(second.video_time, np.linspace(0, 1, int(videos.lengths[1])))
    monkeypatch.setitem(sys.modules, "pandas", None)
    plain = alignment.to_frames()
    assert isinstance(plain, dict)
    assert {key: list(values) for key, values in plain.items()} == {key: list(table[key]) for key in table}


def test_a_missing_file_is_an_oserror_of_ours(tmp_path):
    with pytest.raises(OSError, match="no alignment there") as caught:
        Alignment.load(tmp_path / "alignment.h5")
    assert isinstance(caught.value, UserError)


def test_idle_frames_have_no_point_and_missing_points_no_frame():
    text = np.array(["a", "b", "c"])
    made = Alignment.from_rows(
        video_id=text,
        action=text,
        split=text,
        positions=[
            np.array([0.0, 0.0, 0.5, 1.0, 1.0]),  # idles in its first frame and its last
            np.array([0.25, 0.5, 0.75]),  # misses both ends
            np.array([0.0, 0.0, 0.5, 1.0]),  # two frames at the first point: neither idles
        ],
        sources=[np.linspace(0.25, 0.75, 5), np.linspace(-0.5, 1.5, 5), np.linspace(0, 1, 5)],
    )
    assert made.faced(0).tolist() == [-1.0, 0.0, 0.5, 1.0, 2.0]
    assert made.there(0).all()
    np.testing.assert_array_equal(made.faced(1), made.position(1))
    assert made.there(1).tolist() == [False, True, True, True, False]
    np.testing.assert_array_equal(made.faced(2), made.position(2))
