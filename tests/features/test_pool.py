"""Worker processes: they do not outlive the process that started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
from tests.data.test_pool import report_and_work
from tpl_lightning.features.pool import parallel_imap

if __name__ == "__main__":
    list(parallel_imap(report_and_work, [%r] * 2, num_workers=2))
"""


def report_and_work(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_workers_end_with_a_killed_parent(tmp_path):
    marks, script = tmp_path / "marks", tmp_path / "work.py"
    marks.mkdir()
    script.write_text(SCRIPT % str(marks))
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen([sys.executable, str(script)], env=environment, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list(marks.iterdir())) == 2)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    wait_for(lambda: not any(is_running(int(mark.name)) for mark in marks.iterdir()))
