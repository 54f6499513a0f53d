"""The writer: what it refuses is named, and an older file stays as it was."""

import shutil

import numpy as np
import pytest

from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.errors import UserError

VIDEO = {"video_id": "a", "action": "jump", "split": "train"}


def _writer(path, **options):
    phases = {"jump": ["up", "down"]}
    return EmbeddingCacheWriter(path, dataset="d", extractor="e", source="s", phase_names=phases, **options)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"video_id": "old"}, "added before"),
        ({"split": "dev"}, "dev"),
        ({"embeddings": np.zeros((1, 3))}, "at least 2 frames"),
        ({"embeddings": np.zeros((4, 2))}, "3 channels"),
        ({"embeddings": np.full((4, 3), np.nan)}, "NaN"),
        ({"embeddings": np.full((4, 3), 1e6)}, "float16"),
        ({"labels": np.zeros(3)}, "labels"),
        ({"labels": np.full(4, 2)}, "2 phases"),
        ({"progress": np.array([0, 0.5, 0.4, 1])}, "progress"),
    ],
)
def test_a_bad_video_is_named_and_the_old_file_stays(tmp_path, change, named):
    path = tmp_path / "x.h5"
    path.write_text("old")
    good = {"video_id": "old", "action": "jump", "split": "train", "embeddings": np.zeros((4, 3))}

    def write():
        with _writer(path) as writer:
            for video in (good, {**VIDEO, "embeddings": np.zeros((4, 3)), **change}):
                writer.append(**video)

    with pytest.raises(UserError, match=named) as info:
        write()
    assert change.get("video_id", "a") in str(info.value)
    assert "\n" not in str(info.value)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]


def test_no_videos_no_file(tmp_path):
    with pytest.raises(UserError, match="at least one video"), _writer(tmp_path / "x.h5"):
        pass
    assert not list(tmp_path.iterdir())


def _replace(name, values):
    def how(file):
        del file[name]
        file[name] = values

    return how


@pytest.mark.parametrize("fps", [0.0, -24.0, float("nan"), float("inf")])
def test_senseless_frame_rates_are_refused(tmp_path, fps):
    with (
        pytest.raises(UserError, match="video 'a': expected frames per second above 0"),
        EmbeddingCacheWriter(tmp_path / "x.h5", dataset="d", extractor="e", source="s", phase_names={}) as writer,
    ):
        writer.append(video_id="a", action="b", split="train", embeddings=np.zeros((3, 2)), fps=fps)


@pytest.mark.parametrize("labels", [[0.0, 0.5, 1.0], [0.0, float("nan"), 1.0], ["a", "b", "b"], [True, False, True]])
def test_labels_that_are_no_whole_numbers_are_refused(tmp_path, labels):
    names = {"b": ["up", "down"]}
    with (
        pytest.raises(UserError, match="video 'a': expected labels to be whole numbers"),
        EmbeddingCacheWriter(tmp_path / "x.h5", dataset="d", extractor="e", source="s", phase_names=names) as writer,
    ):
        writer.append(video_id="a", action="b", split="train", embeddings=np.zeros((3, 2)), labels=np.array(labels))


def test_whole_numbers_may_be_floats(tmp_path):
    path, names = tmp_path / "x.h5", {"b": ["up", "down"]}
    with EmbeddingCacheWriter(path, dataset="d", extractor="e", source="s", phase_names=names) as writer:
        writer.append(
            video_id="a", action="b", split="train", embeddings=np.zeros((3, 2)), labels=np.array([-1.0, 0.0, 1.0])
        )
    assert EmbeddingCache(path).labels(0).tolist() == [-1, 0, 1]


def _room(cache):
    frames = int(cache.offsets[-1])
    return np.empty((frames, cache.num_channels), cache.served_dtype), np.empty(frames, np.int16)


def test_labels_beyond_what_is_stored_are_refused_by_the_writer(tmp_path):
    names = {"b": [f"p{i}" for i in range(70_000)]}
    with (
        pytest.raises(UserError, match=r"video 'a': expected labels -1\.\.32767"),
        EmbeddingCacheWriter(tmp_path / "x.h5", dataset="d", extractor="e", source="s", phase_names=names) as writer,
    ):
        writer.append(
            video_id="a", action="b", split="train", embeddings=np.zeros((3, 2)), labels=np.array([0, 1, 65536])
        )


@pytest.mark.parametrize("name", ["half \udce9", "zero \0"])
def test_names_that_hdf5_cannot_hold_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="expected names of UTF-8 characters"), _writer(tmp_path / "x.h5") as writer:
        writer.append(**{**VIDEO, "video_id": name}, embeddings=np.zeros((4, 3)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("room", [2**19, 2**20 + 2000])
def test_a_disk_without_room_is_said_before_hdf5_meets_it(tmp_path, monkeypatch, room):
    path = tmp_path / "x.h5"
    path.write_text("as it was")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=room))
    # A cache without a row has room in the second case, one with 1,000 rows has not.
    with pytest.raises(OSError, match="No space left on device"), _writer(path) as writer:
        writer.append(**VIDEO, embeddings=np.zeros((1000, 3)))
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]
