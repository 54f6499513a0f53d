"""Worker processes: they do not outlive the process that started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.features.pool import Progress, run_parallel

SCRIPT = """
from tests.features.test_pool import report_and_work
from tpl_lightning.features.pool import run_parallel

if __name__ == "__main__":
    list(run_parallel(report_and_work, [%r] * 2, num_workers=2))
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


def test_progress_into_a_pipe_is_plain_lines_also_where_colour_is_forced(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as Jupyter does
    with Progress("Reading", 2) as progress:
        progress.advance()
        progress.advance()
    shown = capsys.readouterr().err
    assert "Reading: 2/2" in shown
    assert "\x1b" not in shown


def _killed(item):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("ordered", [False, True])
def test_a_killed_worker_is_one_line(ordered):
    with pytest.raises(UserError, match="a worker process was killed"):
        list(run_parallel(_killed, [0, 1], num_workers=2, ordered=ordered))
