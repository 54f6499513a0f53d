"""Files that are whole or as they were, and nothing of killed processes beside them."""

import os
import resource
import subprocess
import sys

import pytest

from tpl_lightning.files.whole import remove_left, temporary_name, whole_file, write_atomically

_KILLED = """
import os, signal, sys
from pathlib import Path
from tpl_lightning.files.whole import whole_file
with whole_file(Path(sys.argv[1])) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    write_atomically(path, "old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_without_room_names_the_file(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**12, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as refused:
            write_atomically(tmp_path / "a.json", "x" * 2**13)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert refused.value.filename == str(tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_raises_or_writes_nothing_leaves_what_was_there(tmp_path):
    path = tmp_path / "deep" / "a.csv"
    write_atomically(path, "old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as part:  # noqa: PT012
        part.write_text("half")
        raise ZeroDivisionError
    with whole_file(path) as part:
        assert (part.parent, part.suffix) == (path.parent, ".csv")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_the_inner_of_two_writes_the_temporary_file_of_the_outer(tmp_path):
    with whole_file(tmp_path / "a.mp4") as part, whole_file(part) as same:
        assert same == part
        same.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / "a.csv"
    write_atomically(path, "old")
    process = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert process.returncode == -9
    (left,) = [found for found in tmp_path.iterdir() if found != path]
    assert left.read_text() == "half"
    assert path.read_text() == "old"
    alive = temporary_name(tmp_path / "b.csv")
    alive.write_text("being written")
    elsewhere = tmp_path / ".a.tpl-00000000-1.csv"  # of a machine whose processes are not known here
    elsewhere.write_text("being written")
    long_ago = tmp_path / ".c.tpl-00000000-1.csv"
    long_ago.write_text("half")
    os.utime(long_ago, (0, 0))
    mine = tmp_path / ".tpl-notes.csv"
    mine.write_text("mine")
    remove_left.cache_clear()
    remove_left(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([path, alive, elsewhere, mine])
