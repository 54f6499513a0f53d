"""Folders of runs: one process writes one, names do not meet, and nothing on disk is lost."""

import subprocess
import sys

import pytest

from tpl_lightning.config.loading import load_config
from tpl_lightning.errors import UserError
from tpl_lightning.runs import directory as run_directory
from tpl_lightning.runs.directory import find_cache, hold_folder, open_run_directory

_HOLD = """
import sys
from pathlib import Path
from tpl_lightning.runs.directory import hold_folder
lock = hold_folder(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "WANDB_SWEEP_ID", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path):
    def make(*options):
        return load_config([f"run.dir={tmp_path / 'runs'}", *options])

    return make


def _holder(folder):
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(folder)], stdin=subprocess.PIPE, stdout=-1)
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_run_that_goes_on_is_neither_moved_nor_shared(config, tmp_path):
    with open_run_directory(config("run.name=a")) as folder:
        (folder / "metrics.csv").write_text("kept")
    process = _holder(folder)
    try:
        for options in (["run.name=a"], [f"resume={folder}"]):
            with pytest.raises(UserError, match=f"process {process.pid} on .*wait for its end"):
                open_run_directory(config(*options)).__enter__()
    finally:
        process.kill()
        process.communicate()
    assert (folder / "metrics.csv").read_text() == "kept"
    # A process that was killed holds nothing.
    with open_run_directory(config(f"resume={folder}")) as again:
        assert again == folder
    with open_run_directory(config("run.name=a")) as new:
        assert new == folder
        assert not (new / "metrics.csv").exists()
    assert (tmp_path / "runs" / "a.old-1" / "metrics.csv").read_text() == "kept"


def test_default_names_of_one_second_and_process_differ(config, monkeypatch):
    monkeypatch.setattr(run_directory.time, "strftime", lambda _: "20240101-000000")
    with open_run_directory(config()) as one, open_run_directory(config()) as two:
        assert one != two
        assert (one / "config.yaml").is_file()
        assert (two / "config.yaml").is_file()


def test_tasks_of_a_job_array_have_names_of_their_own(config, monkeypatch):
    monkeypatch.setattr(run_directory.time, "strftime", lambda _: "20240101-000000")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "77")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    with open_run_directory(config("data.folds=5", "data.fold=3")) as folder:
        assert folder.name == "genai-tpl_plus-s0-f3-20240101-000000-77_3"


def test_ranks_left_in_the_environment_say_nothing(config, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("SLURM_PROCID", "3")
    with open_run_directory(config("run.name=lone")) as folder:
        assert (folder / "config.yaml").is_file()


def test_a_file_in_the_way_is_one_line(config, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").write_text("mine")
    with pytest.raises(UserError, match=r"cannot be written .*choose another run\.dir"):
        open_run_directory(config("run.name=a")).__enter__()
    assert (tmp_path / "runs" / "a").read_text() == "mine"


def test_a_lock_can_be_taken_once(tmp_path):
    with hold_folder(tmp_path):
        assert hold_folder(tmp_path) is None
    hold_folder(tmp_path).close()


def test_a_cache_that_moved_with_its_run_is_found(tmp_path, monkeypatch):
    run = tmp_path / "moved" / "runs" / "a"
    run.mkdir(parents=True)
    (tmp_path / "moved" / "c.h5").write_text("")
    assert find_cache("/elsewhere/c.h5", run) == str(tmp_path / "moved" / "c.h5")
    assert find_cache("/elsewhere/d.h5", run) == "/elsewhere/d.h5"
