"""The run directory ``runs/<name>/``: where it is, who writes into it, and the files that every run has."""

import fcntl
import glob
import json
import math
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any

from tpl_lightning import functional
from tpl_lightning.config import Config, save_config
from tpl_lightning.errors import FileError, UserError
from tpl_lightning.files import write_atomically

CHECKED_FRAMES = 5_000_000
"""Frames that are read before a fit; of larger caches the rest is checked as it is read (`tpl cache validate`: all)."""

_LOCK = ".lock"


def hold_folder(folder: Path, name: str = _LOCK) -> IO[str] | None:
    """Take the lock of a folder until the returned file is closed; the system frees it when a process dies.

    Args:
        folder: The folder.
        name: Of the lock's file.

    Returns:
        The locked file; None where another process holds it, see :func:`_holder`.

    Raises:
        OSError: If the folder cannot be written, or was moved meanwhile (FileNotFoundError).
    """
    path = folder / name
    lock = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    except OSError:
        pass  # a file system without locks: exclusive creation is what there is
    try:
        is_here = os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        is_here = False
    if not is_here:
        lock.close()
        raise FileNotFoundError(f"{path} was moved")
    lock.truncate(0)
    lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    lock.flush()
    return lock


def make_folder(folder: Path) -> Path:
    """Make a folder below ``run.dir``, where it is not there, and return it.

    Raises:
        FileError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: cannot be written ({error.strerror}); choose another run.dir.") from error
    return folder


def _holder(folder: Path) -> str:
    try:
        return (folder / _LOCK).read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"


def _set_aside(folder: Path) -> None:
    """Move an earlier run of the same name out of the way; nothing on disk is lost."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    folder.rename(aside)
    print(f"{folder} held an earlier run; it is now {aside}.", file=sys.stderr)


def _default_name(config: Config) -> str:
    """Return a name that no other process gives at the same time: by the task of a job array, or the process."""
    task = [os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK")]
    who = "_".join(map(str, task)) if all(task) else str(os.getpid())
    fold = f"-f{config.data.fold}" if config.data.folds else ""
    now = time.strftime("%Y%m%d-%H%M%S")
    return f"{config.data.dataset}-{config.method}-s{config.seed}{fold}-{now}-{who}"


def _take_new(config: Config) -> tuple[Path, IO[str]]:
    """Make the folder of a new run and hold it; an earlier run of its name that nobody writes is set aside."""
    name = config.run.name or _default_name(config)
    if os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"):
        name = f"{name}-{os.environ['WANDB_RUN_ID']}"  # agents start many trials of one command line
    for number in count(1):
        folder = Path(config.run.dir) / (name if config.run.name or number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True, exist_ok=config.run.name is not None)
            lock = hold_folder(folder)
        except (FileExistsError, FileNotFoundError):
            if folder.exists() and not folder.is_dir():
                raise
            continue  # another process has made it, or set it aside, just now
        if lock is not None and {path.name for path in folder.iterdir()} <= {_LOCK}:
            return folder, lock
        if lock is None and config.run.name:
            raise UserError(
                f"{folder}: a run is being made there ({_holder(folder)}); wait for its end, or choose another "
                "run.name."
            )
        if lock is not None:
            if config.run.name:
                _set_aside(folder)
            lock.close()
    raise AssertionError


def _take(config: Config) -> tuple[Path, IO[str]]:
    """Take the folder of a run, new or to be resumed, with config.yaml and its subfolders in it."""
    place = Path(config.resume or Path(config.run.dir) / (config.run.name or ""))
    try:
        if config.resume is None:
            folder, lock = _take_new(config)
            (folder / "checkpoints").mkdir()
            (folder / "figures").mkdir()
            save_config(config, folder / "config.yaml")
            return folder, lock
        held = hold_folder(place)
    except OSError as error:
        raise FileError(f"{place}: cannot be written ({error.strerror}); choose another run.dir.") from error
    if held is None:
        raise UserError(f"{place}: this run is going on ({_holder(place)}); wait for its end.")
    return place, held


@contextmanager
def open_run_directory(config: Config) -> Iterator[Path]:
    """Hold the run's folder: made with config.yaml in it, or that of the run to resume; the same on all ranks.

    Yields:
        Its path.

    Raises:
        UserError: If the folder cannot be made, or another process writes into it.
    """
    held: list[IO[str]] = []

    def take() -> str:
        folder, lock = _take(config)
        held.append(lock)
        return str(folder)

    try:
        yield Path(functional.on_rank_zero(take))
    finally:
        for lock in held:
            lock.close()


def find_cache(named: str, run_dir: Path) -> str:
    """Return the path of a run's cache: where the run remembers it, or where it went together with the run.

    A relative path was relative to where `tpl fit` ran: usually here, or where runs/ is.

    Args:
        named: The path, or pattern, that the run remembers.
        run_dir: The run directory.
    """
    above = list(run_dir.resolve().parents)[:3]
    beside = [folder / name for folder in above for name in (".", "data")]
    places = [Path(named), *(folder / named for folder in above), *(folder / Path(named).name for folder in beside)]
    return str(next((place for place in places if place.is_file() or glob.glob(str(place))), named))


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Write metrics.json: flat, null where nothing could be measured."""
    clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}
    write_atomically(folder / "metrics.json", json.dumps(clean, indent=2) + "\n")
