"""A fitted aligner: what it knows of its videos, and the folder that it is kept in."""

import numpy as np
import pytest

from tests.conftest import write_cache
from tpl_lightning.__main__ import main
from tpl_lightning.api.fitted import Fitted
from tpl_lightning.api.inputs import read_options
from tpl_lightning.data import EmbeddingCache, VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.runs import Run

RNG = np.random.default_rng(0)
VIDEOS = [np.cumsum(RNG.normal(size=(length, 3)), axis=0).astype(np.float32) for length in (20, 26, 23, 30)]


@pytest.fixture(scope="module")
def fitted():
    return Fitted.fit(read_options("linear", None, None), VIDEOS[:3])


def test_prototypes_are_means_of_the_warped_videos(fitted):
    length = len(fitted.prototypes["action"])
    times = np.linspace(0, 1, length)
    warped = [
        np.stack([np.interp(times, np.linspace(0, 1, len(video)), channel) for channel in video.T], axis=1)
        for video in VIDEOS[:3]
    ]
    np.testing.assert_allclose(fitted.prototypes["action"], np.mean(warped, axis=0), atol=1e-5)
    assert fitted.num_channels == 3
    assert fitted.phase_names == {"action": []}


def test_arrays_that_were_fitted_keep_their_warps_and_others_are_new(fitted):
    assert [fitted.row_of(video) for video in VIDEOS] == [0, 1, 2, None]
    alignment = fitted.align(fitted.videos([VIDEOS[3], VIDEOS[1]]))
    assert alignment.split.tolist() == ["test", "train"]
    np.testing.assert_array_equal(alignment.position(1), fitted.alignment.position(1))
    np.testing.assert_allclose(alignment.position(0), np.linspace(0, 1, 30), atol=1e-6)


def test_a_video_that_was_fitted_may_be_asked_about_as_another_action():
    both = Fitted.fit(read_options("linear", None, None), VIDEOS, ["a", "a", "b", "b"])
    alignment = both.align(both.videos(VIDEOS[:1], "b"))
    assert (alignment.action.tolist(), alignment.split.tolist()) == (["b"], ["test"])
    assert both.align(both.videos(VIDEOS[2:])).action.tolist() == ["b", "b"]
    with pytest.raises(UserError, match=r"video 1: which action does it show\? .*\['a', 'b'\]"):
        both.videos([VIDEOS[0], VIDEOS[0][1:]])


def test_its_folder_is_a_run_that_knows_its_cache(tmp_path):
    path = write_cache(tmp_path / "c.h5")
    fitted = Fitted.fit(read_options("direct", {"data.pca": 3}, None), str(path))
    fitted.save(tmp_path / "mine")
    run = Run(tmp_path / "mine")
    assert run.cache.path == path
    assert run.data_source == "tiny, waves features (c.h5)"
    assert [video.split for video in run.known_videos("jump")] == ["train"] * 3
    again = Fitted.load(tmp_path / "mine")
    assert (again.source, again.config) == (fitted.source, fitted.config)
    assert main(["test", str(tmp_path / "mine"), f"run.dir={tmp_path}", "run.name=t", "run.wandb=disabled"]) == 0
    np.testing.assert_array_equal(again.alignment.prototype_position, fitted.alignment.prototype_position)


def test_a_set_of_videos_is_trained_on_as_a_whole(tmp_path):
    some = VideoSet(EmbeddingCache(write_cache(tmp_path / "c.h5"))).select(np.array([0, 2, 4, 6]))
    assert some.split.tolist() == ["train"] * 3 + ["test"]
    fitted = Fitted.fit(read_options("linear", None, None), some)
    assert fitted.alignment.video_id.tolist() == some.video_id.tolist()
    assert fitted.alignment.split.tolist() == ["train"] * 4
    assert fitted.phase_names == {"jump": ["begin", "middle", "end"]}


def test_a_folder_of_something_else_stays(tmp_path, fitted):
    (tmp_path / "a.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "a.txt"):
        with pytest.raises(UserError, match="there is something else there; give a new folder, or remove it"):
            fitted.save(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_videos_of_other_channels(tmp_path, fitted):
    with pytest.raises(UserError, match="X has 2 features, but Synchronizer is expecting 3 features"):
        fitted.videos([VIDEOS[0][:, :2]])
