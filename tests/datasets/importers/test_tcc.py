"""What the records of data sets say of a sequence: name, phases, split."""

from pathlib import Path

import pytest

from tpl_lightning.datasets.importers.tcc import read_sequences, split_of_name, without_val
from tpl_lightning.errors import UserError
from tpl_lightning.features.clips import Clip

pytest.importorskip("google_crc32c")

from tests.record_factory import picture, sequence, write_records


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("pouring_val-0-of-1.tfrecord", "val"),
        ("Golf_TRAIN-3-of-9.tfrecord", "train"),
        ("tennis_test-0-of-1.tfrecord", "test"),
        ("bowl-0-of-1.tfrecord", ""),
    ],
)
def test_names_of_files_tell_the_split(name, split):
    assert split_of_name(name) == split


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (["train", "val"], ["train", "test"]),
        (["train", "val", "test"], ["train", "val", "test"]),
        (["train"], ["train"]),
    ],
)
def test_validation_is_the_test_where_there_is_none(splits, expected):
    clips = [Clip(str(k), "a", split, Path("a")) for k, split in enumerate(splits)]
    assert [clip.split for clip in without_val(clips)] == expected
    assert [clip.video_id for clip in without_val(clips)] == [clip.video_id for clip in clips]


def test_sequences_have_name_and_phases_and_what_lacks_is_named(tmp_path):
    path = tmp_path / "a.tfrecord"
    write_records(path, [sequence("one", [0, 0, 1]), sequence("two", [], frames=[picture(0), picture(1)])])
    found = read_sequences(path, needs="frame_labels")
    name, labels, record = next(found)
    assert (name, labels.tolist(), record.offset) == ("one", [0, 0, 1], 0)
    with pytest.raises(UserError, match=r"expected `name` and `frame_labels` at byte [1-9]"):
        next(found)
    write_records(path, [sequence("two", [], frames=[picture(0), picture(1)])])
    ((name, labels, record),) = read_sequences(path, needs="video")
    assert (name, labels, len(record.steps["video"])) == ("two", None, 2)
