"""What is found in a recording: whole occurrences by the run's aligner, cut ones as the search has them."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import write_cache
from tests.run_factory import read_code, write_clip
from tpl_lightning.data import open_cache
from tpl_lightning.errors import UserError
from tpl_lightning.labels import Occurrence
from tpl_lightning.recognition import Hit
from tpl_lightning.sync.occurrences import (
    Recording,
    find_recordings,
    source_of_positions,
    videos_of_hits,
    write_segments,
)
from tpl_lightning.video import VideoClock, VideoReader


class Run:
    """A run whose aligner takes every clip to be whole."""

    action_model = SimpleNamespace(actions=["jump", "run"])

    def align(self, rows):
        self.lengths = [len(embeddings) for _, _, embeddings, _ in rows]
        grids = [np.linspace(0, 1, length) ** 2 for length in self.lengths]
        return SimpleNamespace(position=grids.__getitem__, source=lambda i: np.linspace(0, 1, 7))


def test_cut_occurrences_keep_the_warp_of_the_search():
    run, clock = Run(), VideoClock.even(100, 25.0)
    begun = np.linspace(0.4, 1.0, 20)
    hits = [Hit(0, 20, 0, 0.3, 0.4, 1.0, begun), Hit(30, 70, 1, 0.2, position=np.linspace(0, 1, 40))]
    cut, whole = videos_of_hits(run, np.zeros((100, 3), np.float32), clock, hits)
    assert run.lengths == [40]
    assert (cut.action, whole.action) == ("jump", "run")
    assert cut.position is begun
    np.testing.assert_allclose(whole.position, np.linspace(0, 1, 40) ** 2)
    assert cut.has_frame(np.array([0.0, 0.3, 0.5, 1.0])).tolist() == [False, False, True, True]
    assert cut.acts(np.arange(20)).all()


def test_only_cut_ones_ask_no_aligner():
    run = Run()
    hits = [Hit(80, 100, 0, 0.3, 0.0, 0.7, np.linspace(0, 0.7, 20))]
    (cut,) = videos_of_hits(run, np.zeros((100, 3), np.float32), VideoClock.even(100, 25.0), hits)
    assert not hasattr(run, "lengths")
    assert cut.has_frame(np.array([0.0, 0.6, 0.9])).tolist() == [True, True, False]
    assert videos_of_hits(run, np.zeros((9, 3), np.float32), VideoClock.even(9, 25.0), []) == []


def test_points_that_a_video_does_not_show_lie_beyond_it():
    source = source_of_positions(np.array([0.25, 0.5, 0.75, 0.75, 1.0]))
    np.testing.assert_allclose(source[0], -0.25)
    np.testing.assert_allclose(source[[1, 2]], [0, 0.25])
    assert np.all(np.diff(source) >= 0)
    np.testing.assert_allclose(source_of_positions(np.linspace(0, 0.5, 3)), [0, 1, 1.5])


def test_segments_have_the_frames_of_their_time(tmp_path):
    path = write_clip(tmp_path / "long.mp4", 60, fps=20.0)
    found = [Occurrence(0.5, 1.5, "jump", 1.0), Occurrence(1.25, 2.0, "turn", 1.0), Occurrence(2.0, 3.0, "jump", 1.0)]
    files = write_segments(Recording("long", path), found, tmp_path / "clips")
    names = [file.relative_to(tmp_path / "clips").as_posix() for file in files]
    assert names == ["jump/long_000.mp4", "turn/long_001.mp4", "jump/long_002.mp4"]
    codes = [[read_code(frame) for frame in VideoReader(file)] for file in files]
    assert codes == [list(range(10, 30)), list(range(25, 40)), list(range(40, 60))]


def test_recordings_are_files_folders_of_them_and_all_videos_of_caches(tmp_path):
    path = write_clip(tmp_path / "in" / "long.mp4", 6)
    (tmp_path / "other").mkdir()
    twin = write_clip(tmp_path / "other" / "long.mp4", 4)
    cache = write_cache(tmp_path / "c.h5", videos=2)
    found = find_recordings([str(tmp_path / "in"), str(twin), str(cache)])
    assert [(one.name, one.path, one.row) for one in found] == [
        ("long", path, None),
        ("long-2", twin, None),
        ("jump_0", cache, 0),
        ("turn_1", cache, 1),
    ]
    assert [one.num_frames() for one in found[:2]] == [6, 4]
    assert found[2].num_frames() == open_cache(cache).lengths[0]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no recording there; name video files, folders of them, or caches"):
        find_recordings([str(tmp_path / "empty")])
