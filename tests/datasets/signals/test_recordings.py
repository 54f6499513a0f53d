"""Recordings in folders: what they are called and show, what is left out, and gaps."""

import numpy as np
import pytest

from tpl_lightning.datasets.signals.recordings import Table, fill_gaps, find_recordings, read_folder
from tpl_lightning.errors import UserError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def find(root, endings=(".csv", ".h5"), *, leave=(), name=lambda path: path.stem):
    found = find_recordings(root, endings, leave=leave, name=name)
    return [(video_id, action, path.relative_to(root).as_posix()) for video_id, action, path in found]


def test_folders_name_the_action_and_one_format_of_each_recording_is_taken(tmp_path):
    touch(tmp_path, "jump/a.csv", "jump/a.h5", "jump/day/b.H5", "turn/c.h5", "turn/d.csv", "turn/.e.csv", "turn/f.txt")
    touch(tmp_path, "turn/labels.csv")
    assert find(tmp_path, leave=[tmp_path / "turn" / "labels.csv", None]) == [
        ("a", "jump", "jump/a.csv"),
        ("b", "jump", "jump/day/b.H5"),
        ("c", "turn", "turn/c.h5"),
        ("d", "turn", "turn/d.csv"),
    ]


def test_names_are_those_of_the_video_and_loose_files_are_of_the_folder(tmp_path):
    touch(tmp_path / "jump", "one_net.csv", "two_net.csv")
    named = find(tmp_path / "jump", name=lambda path: path.stem.removesuffix("_net"))
    assert named == [("one", "jump", "one_net.csv"), ("two", "jump", "two_net.csv")]


def test_loose_files_beside_folders_are_left_out_with_a_warning(tmp_path):
    touch(tmp_path, "jump/a.csv", "jump/b.csv", "loose.csv")
    with pytest.warns(UserWarning, match="left out, in no folder that names their action: loose.csv"):
        assert [path for _, _, path in find(tmp_path)] == ["jump/a.csv", "jump/b.csv"]


def test_no_recording_and_a_lonely_one_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"expected recordings <action>/<name>\.csv\|\.h5, but found none"):
        find(tmp_path)
    touch(tmp_path, "jump/a.csv", "turn/b.csv", "turn/c.csv")
    with pytest.raises(UserError, match="at least 2 recordings of each action, but jump has 1"):
        find(tmp_path)


def test_gaps_go_on_a_line_over_time_and_ends_stay(tmp_path):
    values = np.array([[np.nan, 1.0], [0.0, np.inf], [np.nan, 5.0], [8.0, np.nan]])
    even = fill_gaps(values, ["a", "b"], tmp_path, gaps="interpolate")
    np.testing.assert_allclose(even, [[0, 1], [0, 3], [4, 5], [8, 5]])
    timed = fill_gaps(values, ["a", "b"], tmp_path, gaps="interpolate", times_s=np.array([0.0, 1, 2, 5]))
    np.testing.assert_allclose(timed, [[0, 1], [0, 3], [2, 5], [8, 5]])
    whole = np.ones((3, 2))
    np.testing.assert_array_equal(fill_gaps(whole, ["a", "b"], tmp_path, gaps="refuse"), whole)
    with pytest.raises(UserError, match=r"4 gaps, most in column 'a' \(row 0 first\)"):
        fill_gaps(values, ["a", "b"], tmp_path, gaps="refuse")
    with pytest.raises(UserError, match="column 'b' holds no number"):
        fill_gaps(np.array([[1.0, np.nan]] * 3), ["a", "b"], tmp_path, gaps="interpolate")


def test_a_rate_that_nobody_says_is_asked_for_or_taken_with_a_warning(tmp_path):
    touch(tmp_path, "jump/a.csv", "jump/b.csv")

    def read(path, gaps):
        return Table(("x",), np.ones((3, 1)), doubt="odd" if path.stem == "b" else "")

    options = {"read": read, "endings": (".csv",), "gaps": "refuse"}
    with pytest.raises(UserError, match=r"a\.csv: expected a time column .* found x; .*fps=NUMBER"):
        read_folder(tmp_path, None, fps=None, **options)
    with pytest.warns(UserWarning, match="30 is taken") as said:
        recordings = read_folder(tmp_path, None, fps=None, default_fps=30.0, **options)
    assert [recording.fps for recording in recordings] == [30.0, 30.0]
    assert len(said) == 2
    assert "odd" in str(said[1].message)
    with pytest.warns(UserWarning, match="odd"):
        assert read_folder(tmp_path, None, fps=50.0, **options)[0].fps == 50.0
