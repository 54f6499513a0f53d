"""Shards: what is complete survives a kill, whatever else does not."""

import numpy as np
import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.features.shards import ShardFolder, VideoFeatures

TIMES = np.array([0.0, 0.1, 0.4, 0.5, 0.75, 1.0, 2.0, 3.0])


def video(seed, count=5, columns=3):
    features = np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)
    return VideoFeatures(features, TIMES[:count], 2 * np.arange(count), fps=12.0)


@pytest.fixture
def shards(tmp_path):
    return ShardFolder(tmp_path / "sub" / "x.h5")


def test_videos_of_several_processes_are_read_together(shards, tmp_path):
    assert shards.path == tmp_path / "sub" / "x.h5.shards"
    with shards.locked(0), ShardFolder(tmp_path / "sub" / "x.h5").locked(1):
        shards.add("k0", video(0))
        ShardFolder(tmp_path / "sub" / "x.h5").add("k1", video(1, 7))
        shards.add("k3", "cannot be read: ö")
    assert shards.done() == {"k0", "k1"}
    assert shards.failed() == {"k3": "cannot be read: ö"}
    found = shards.read("k1")
    np.testing.assert_array_equal(found.features, video(1, 7).features)
    np.testing.assert_array_equal(found.clock.times_s, TIMES[:7])
    assert found.frames.tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert (found.features.dtype, found.fps) == (np.float32, 12.0)


def test_a_killed_process_loses_what_was_not_finished_only(shards, monkeypatch):
    shards.add("k0", video(0))

    def killed(file, **arrays):
        file.write_bytes(b"half a video")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", killed)
        with pytest.raises(KeyboardInterrupt):
            shards.add("k1", video(1))
    assert shards.done() == {"k0"}
    shards.add("k1", video(2))
    np.testing.assert_array_equal(shards.read("k1").features, video(2).features)


@pytest.mark.parametrize("size", [0, 100, -1])
def test_lost_numbers_are_noticed(shards, size):
    shards.add("k0", video(0))
    path = shards.path / "k0.npz"
    content = bytearray(path.read_bytes())
    if size < 0:  # a bit that has changed
        place = content.index(video(0).features.tobytes())
        content[place + 7] ^= 1
    path.write_bytes(content[: size if size >= 0 else None])
    with pytest.raises(UserError, match=r"k0\.npz: the features are damaged; delete it"):
        shards.read("k0")


def test_a_video_that_works_now_is_no_failure(shards):
    shards.add("k0", "no such file")
    shards.add("k0", video(0))
    assert (shards.done(), shards.failed()) == ({"k0"}, {})


def test_two_processes_cannot_have_one_rank(shards):
    pytest.importorskip("fcntl")
    with shards.locked(0), pytest.raises(UserError, match="another process is writing these"), shards.locked(0):
        pass
    with shards.locked(0):
        pass


def test_nothing_is_read_where_nothing_is(shards):
    assert (shards.done(), shards.failed()) == (set(), {})


def test_what_somebody_else_has_put_there_stays(shards):
    with shards.locked(0):
        shards.add("k0", video(0))
        shards.add("k1", "broken")
    (shards.path / "mine.txt").touch()
    shards.remove()
    assert [path.name for path in shards.path.iterdir()] == ["mine.txt"]
    (shards.path / "mine.txt").unlink()
    shards.remove()
    assert not shards.path.exists()


def test_what_an_earlier_version_left_is_dropped_with_one_line(shards):
    shards.add("k0", video(0))
    shards.drop_old()  # nothing to say
    for name in ("shard-0.f32", "shard-0.jsonl"):
        (shards.path / name).touch()
    with pytest.warns(UserWarning, match=r"x\.h5\.shards: an earlier version .* are embedded anew") as caught:
        shards.drop_old()
    assert len(caught) == 1
    assert [path.name for path in shards.path.iterdir()] == ["k0.npz"]
