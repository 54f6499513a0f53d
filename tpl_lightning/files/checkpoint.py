"""Checkpoint files: written whole or not at all, read with clear errors.

Two kinds share the name ``last.ckpt``: what Lightning writes while a network trains (it has "loops"), and what an
aligner keeps when it has learned all. A Lightning checkpoint is finished when its module says so ("finished").
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tpl_lightning.config import complete_config
from tpl_lightning.errors import FileError, UserError, first_line
from tpl_lightning.files.whole import whole_file

VERSION = 1
"""Of what a checkpoint holds; one without a number is from before there was one, and read as such."""
_VERSION_KEY = "tpl_checkpoint"


def read_checkpoint(path: Path, *, device: torch.device | str = "cpu", finished: bool = True) -> dict[str, Any]:
    """Read a checkpoint of tensors and primitives; options that it does not have are the defaults.

    Args:
        path: The file.
        device: Where its tensors go.
        finished: Whether one of a training that has not ended is refused.

    Raises:
        UserError: If the file is missing, unreadable, or not finished.
    """
    if not path.is_file():
        raise FileError(f"{path}: no checkpoint there; give runs/NAME or runs/NAME/checkpoints/last.ckpt.")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many unrelated classes on a foreign file
        raise FileError(f"{path}: not a readable checkpoint ({first_line(error)}); fit the run again.") from error
    if not isinstance(state, dict):
        raise UserError(f"{path}: not a checkpoint of this framework; fit the run again.")
    version = state.get(_VERSION_KEY, 0)
    if not isinstance(version, int) or version > VERSION:
        raise UserError(f"{path}: of version {version}, but this tpl_lightning reads up to {VERSION}; use a newer one.")
    about = state.get("hyper_parameters")
    if isinstance(about, dict) and isinstance(about.get("config"), dict):
        about["config"] = complete_config(about["config"], str(path))
    if finished and "loops" in state and not state.get("finished"):
        run = path.resolve().parent.parent
        raise UserError(f"{path}: its training has not ended; go on with: tpl fit resume={run}")
    return state


@contextmanager
def as_checkpoint(path: Path) -> Iterator[None]:
    """Say that a checkpoint is damaged, or of another version, where the block stumbles over what it holds.

    Raises:
        UserError: Instead of what Python and PyTorch raise for parts that are missing, or of another kind or shape.
    """
    try:
        yield
    except UserError:
        raise
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        found = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"{path}: a checkpoint that is damaged or of another version ({found}); fit again.") from error


def training_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return what Lightning saved while training, or None where nothing lies or another kind of checkpoint.

    Raises:
        UserError: If the file cannot be read.
    """
    state = read_checkpoint(path, finished=False) if path.is_file() else {}
    return state if "loops" in state else None


def check_same_cache(was: str, now: str, path: Path) -> None:
    """Check that a run goes on with the cache, told by its fingerprint, that it was trained on.

    Raises:
        UserError: If it is another.
    """
    if was != now:
        raise UserError(
            f"{path}: the run was trained on a cache of fingerprint {was}, but this one has {now}; resume with the "
            "cache as it was, or start a new run."
        )


def first_epoch(state: dict[str, Any]) -> int:
    """Return the epoch that a training resumed from a Lightning checkpoint begins with, or is in the middle of."""
    return int(state["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint of tensors and primitives: a temporary file beside it, then a rename.

    Raises:
        UserError: If it cannot be written; an earlier one stays as it was.
    """
    try:
        with whole_file(path) as part, part.open("wb") as file:
            torch.save({**state, _VERSION_KEY: VERSION}, file)
    except (OSError, RuntimeError) as error:
        said = error.__context__ if isinstance(error.__context__, OSError) else error  # which torch wraps
        why = f"the checkpoint cannot be written ({first_line(said)})"
        raise FileError(f"{path}: {why}; free some space, or choose another run.dir.") from error


def load_state(path: Path, key: str, *, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint of :func:`save_state`.

    Args:
        path: The file.
        key: What a checkpoint of the wanted kind holds.
        device: Where its tensors go.

    Raises:
        UserError: If the file is missing or no checkpoint of this kind.
    """
    state = read_checkpoint(path, device=device)
    if key not in state:
        raise UserError(f"{path}: a checkpoint of another kind (it has no {key!r}); fit the run again.")
    return state
