"""Shards: what is complete survives a kill, whatever else does not."""

import json

import numpy as np
import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.features.shards import ShardWriter, read_shards, shard_folder
from tpl_lightning.video.clock import VideoClock


def rows(seed, count=5, columns=3):
    return np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)


TIMES = np.array([0.0, 0.1, 0.4, 0.5, 0.75, 1.0, 2.0, 3.0])


def append(shard, key, features):
    clock, frames = VideoClock(TIMES[: len(features)]), 2 * np.arange(len(features))
    shard.append(key, features, fps=12.0, clock=clock, frames=frames)


def size(features):
    """Bytes of the numbers of a video: features, the time and the frame of each row."""
    return features.nbytes + 16 * len(features)


def test_shards_of_several_processes_are_read_together(tmp_path):
    folder = shard_folder(tmp_path / "sub" / "x.h5")
    assert folder == tmp_path / "sub" / "x.h5.shards"
    with ShardWriter(folder, 0) as a, ShardWriter(folder, 1) as b:
        append(a, "k0", rows(0))
        append(b, "k1", rows(1, 7))
        append(a, "k2", rows(2, 2))
        b.fail("k3", "cannot be read")
        done, failed = read_shards(folder)  # while they are written
    assert {key: features.read().tolist() for key, features in done.items()} == {
        "k0": rows(0).tolist(),
        "k1": rows(1, 7).tolist(),
        "k2": rows(2, 2).tolist(),
    }
    assert done["k0"].fps == 12.0
    clock, frames = done["k1"].read_rows()
    np.testing.assert_array_equal(clock.times_s, TIMES[:7])
    assert frames.tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert failed == {"k3": "cannot be read"}


def test_a_killed_process_loses_what_was_not_finished_only(tmp_path):
    with ShardWriter(tmp_path, 0) as shard:
        append(shard, "k0", rows(0))
        append(shard, "k1", rows(1))
    journal, data = tmp_path / "shard-0.jsonl", tmp_path / "shard-0.f32"
    # Killed once while numbers were written, once in the middle of a line of the journal.
    data.write_bytes(data.read_bytes() + b"half a video")
    journal.write_text(journal.read_text() + '{"key": "k2", "offset": 12')
    assert set(read_shards(tmp_path)[0]) == {"k0", "k1"}
    with ShardWriter(tmp_path, 0) as shard:
        append(shard, "k2", rows(2))
    done, _ = read_shards(tmp_path)
    for number in range(3):
        np.testing.assert_array_equal(done[f"k{number}"].read(), rows(number))
    assert data.stat().st_size == 3 * size(rows(0))
    assert [json.loads(line)["key"] for line in journal.read_text().splitlines()] == ["k0", "k1", "k2"]


def test_lost_numbers_are_noticed(tmp_path):
    with ShardWriter(tmp_path, 0) as shard:
        append(shard, "k0", rows(0))
        append(shard, "k1", rows(1))
    data = tmp_path / "shard-0.f32"
    data.write_bytes(data.read_bytes()[:-4])
    assert set(read_shards(tmp_path)[0]) == {"k0"}
    data.write_bytes(bytes(size(rows(0))))
    with pytest.raises(UserError, match=r"shard-0\.f32: the features at byte 0 are damaged"):
        read_shards(tmp_path)[0]["k0"].read()


def test_a_video_that_works_now_is_no_failure(tmp_path):
    with ShardWriter(tmp_path, 0) as shard:
        shard.fail("k0", "no such file")
        append(shard, "k0", rows(0))
    done, failed = read_shards(tmp_path)
    assert (set(done), failed) == ({"k0"}, {})


def test_two_processes_cannot_write_one_shard(tmp_path):
    pytest.importorskip("fcntl")
    with ShardWriter(tmp_path, 0), pytest.raises(UserError, match="another process is writing it"):
        ShardWriter(tmp_path, 0)
    with ShardWriter(tmp_path, 0):
        pass


def test_nothing_is_read_where_nothing_is(tmp_path):
    assert read_shards(tmp_path / "none") == ({}, {})


def test_shards_without_times_are_made_anew(tmp_path):
    (tmp_path / "shard-0.f32").write_bytes(rows(0).tobytes())
    line = {"key": "k0", "offset": 0, "rows": 5, "columns": 3, "crc": 0, "fps": 24.0, "native_fps": 24.0}
    (tmp_path / "shard-0.jsonl").write_text(json.dumps(line) + "\n")
    assert read_shards(tmp_path) == ({}, {})
    with ShardWriter(tmp_path, 0) as shard:
        append(shard, "k0", rows(1))
    np.testing.assert_array_equal(read_shards(tmp_path)[0]["k0"].read(), rows(1))
