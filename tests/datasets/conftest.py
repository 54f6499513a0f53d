"""Data sets as they are handed out: tiny trees of the same layout."""

import pytest


@pytest.fixture
def pouring(tmp_path):
    pytest.importorskip("google_crc32c")
    from tests.record_factory import picture, sequence, write_records

    root = tmp_path / "pouring"
    root.mkdir()
    names = ["reach", "pour", "put back"]

    def example(name, seed, count=8):
        labels = [0] * 3 + [1] * (count - 5) + [2] * 2
        return sequence(name, labels, frames=[picture(i, seed) for i in range(count)], names=names)

    write_records(root / "pouring_train-0-of-2.tfrecord", [example("a to b", 0), example("b to a", 1, 9)])
    write_records(root / "pouring_train-1-of-2.tfrecord", [example("c to b", 2)])
    write_records(root / "pouring_val-0-of-1.tfrecord", [example("b to c", 3)])
    return root
