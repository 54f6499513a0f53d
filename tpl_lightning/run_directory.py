"""The run directory ``runs/<name>/``: where it is, and the files that every run has."""

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from tpl_lightning.config import Config, save_config
from tpl_lightning.errors import UserError

__all__ = ["is_rank_zero", "open_run_directory", "write_atomically", "write_metrics"]

_NAME = "TPL_RUN_NAME"  # hands the name of the first process to the ranks that Lightning starts


def is_rank_zero() -> bool:
    """Tell whether this process is the first of a distributed run, before any process group exists."""
    return all(os.environ.get(key, "0") == "0" for key in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def _set_aside(folder: Path) -> None:
    """Move an earlier run of the same name out of the way; nothing on disk is lost."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    folder.rename(aside)
    print(f"{folder} held an earlier run; it is now {aside}.", file=sys.stderr)


def open_run_directory(config: Config) -> Path:
    """Make the run's folder with config.yaml in it, or find that of the run to resume, and return its path.

    Raises:
        UserError: If the folder cannot be made.
    """
    if config.resume is not None:
        return Path(config.resume)
    default = f"{config.data.dataset}-{config.method}-s{config.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    handed_on = None if is_rank_zero() else os.environ.get(_NAME)
    name = config.run.name or default
    if os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"):
        name = f"{name}-{os.environ['WANDB_RUN_ID']}"  # agents start many trials of one command line
    name = handed_on or name
    folder = Path(config.run.dir) / name
    if not is_rank_zero():
        return folder
    os.environ[_NAME] = name
    try:
        if folder.is_dir() and any(folder.iterdir()):
            _set_aside(folder)
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        (folder / "figures").mkdir(exist_ok=True)
        save_config(config, folder / "config.yaml")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another run.dir.") from error
    return folder


def write_atomically(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Write metrics.json: flat, null where nothing could be measured."""
    clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}
    write_atomically(folder / "metrics.json", json.dumps(clean, indent=2) + "\n")
