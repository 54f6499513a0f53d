"""Commands that are killed, and commands without room: see ``tests.fuzz.kills`` and ``tests.fuzz.no_room``."""

import shutil
import subprocess
import sys

import pytest

from tests.fuzz import kills


@pytest.mark.slow
@pytest.mark.parametrize("name", kills.CASES)
def test_a_killed_command_loses_nothing_and_goes_on(tmp_path, name):
    assert kills.main(["--only", name, "--kills", "2", "--place", str(tmp_path)]) == 0


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0,
    reason="no file systems of one's own",
)
@pytest.mark.parametrize("name", kills.CASES)
def test_a_command_without_room_says_so_and_goes_on_once_there_is_some(name):
    command = [sys.executable, "-m", "tests.fuzz.no_room", "--only", name, "--tries", "1"]
    assert subprocess.run(command, check=False).returncode == 0
