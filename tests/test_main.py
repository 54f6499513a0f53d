"""The command line: one line for bad input, whatever is wrong, and how the process ends."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import write_cache
from tests.small_training import short_fit
from tpl_lightning.__main__ import main


def test_bad_input_is_one_line_and_exit_code_2(tmp_path, cache_path, capsys):
    assert short_fit(tmp_path, cache_path, "first") == 0
    folder = tmp_path / "runs" / "first"
    other = write_cache(tmp_path / "wide.h5", channels=9)
    (tmp_path / "text.h5").write_text("hello")
    cases = [
        (["fit", "data.cache=none.h5"], "none.h5"),
        (["fit", f"data.cache={tmp_path / 'text.h5'}"], "text.h5"),
        (["fit", f"data.cache={cache_path}", "data.actions=[fly]"], "fly"),
        (["fit", f"data.cache={cache_path}", "trainer.nonsense=1", f"run.dir={tmp_path / 'runs'}"], "nonsense"),
        (["fit", "data.dataset=golf", f"data.root={tmp_path / 'empty'}"], "golf"),
        (["fit", "warp.num_cells=1"], "warp.num_cells"),
        (["fit", "warp.num_cells=[4,x]"], "warp.num_cells"),
        (["test", "nowhere"], "nowhere"),
        (["test", str(tmp_path / "text.h5")], "text.h5"),
        (["test", str(folder), f"data.cache={other}", f"run.dir={tmp_path}"], "9 channels"),
        (["test", str(folder), f"data.cache={cache_path}", "model.hidden=16"], "model"),
        (["test"], "run directory"),
        (["cache", "info"], "one path"),
        (["cache", "eat", "x"], "eat"),
    ]
    capsys.readouterr()
    for arguments, named in cases:
        assert main(arguments) == 2, arguments
        error = capsys.readouterr().err.strip()
        assert named in error, error
        assert error.splitlines()[-1].startswith("tpl: error:"), error
        assert "Traceback" not in error


def test_a_full_disk_is_one_line_wherever_it_is_met(monkeypatch, capsys):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device", "runs/a.log")

    monkeypatch.setattr("tpl_lightning.commands.doctor.main", full)
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err.startswith("tpl: error: runs/a.log: No space left on device; ")


def test_ctrl_c_while_python_ends_is_not_the_exit_code(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["tpl", "--version"])
    before = signal.getsignal(signal.SIGINT)
    try:
        assert main() == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_module_entry_point():
    done = subprocess.run([sys.executable, "-m", "tpl_lightning", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "fit" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_a_full_disk_behind_the_output_is_one_line(argument):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "tpl_lightning", argument]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "tpl: error: No space left on device; free some space, or choose another folder."
    ]
