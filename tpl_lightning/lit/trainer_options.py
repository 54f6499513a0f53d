"""Options of Lightning's Trainer: which may be given, our defaults, and the processes that launchers have started."""

import inspect
import logging
import os
import warnings
from typing import Any

from lightning import Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment, SLURMEnvironment
from lightning.pytorch.utilities import rank_zero_only

from tpl_lightning.errors import UserError
from tpl_lightning.lit.checkpoints import WholeFiles

# What the framework sets itself; the key to use instead.
_OURS = {
    "max_epochs": "train.max_epochs",
    "gradient_clip_val": "train.clip",
    "check_val_every_n_epoch": "train.val_every",
    "enable_progress_bar": "run.progress",
    "default_root_dir": "run.dir",
    "logger": "run.name",
    "callbacks": "run.progress",
    "enable_checkpointing": "resume",
    "use_distributed_sampler": "data.batch_size",
}


def check_trainer_options(options: dict[str, Any]) -> None:
    """Check the names under ``trainer.``.

    Raises:
        UserError: If an option is unknown, or the framework's own.
    """
    known = set(inspect.signature(Trainer.__init__).parameters) - {"self"}
    for key in options:
        if key in _OURS:
            raise UserError(f"trainer.{key}: set by the framework; use {_OURS[key]}=VALUE.")
        if key not in known:
            raise UserError(f"trainer.{key}: unknown option; Lightning's Trainer has: {', '.join(sorted(known))}.")


def quiet_tips() -> None:
    """Silence Lightning's tips on lines that nobody of our users can act on."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    for text in (
        ".*does not have many workers.*",
        ".*fewer than the logging interval.*",
        ".*Experiment logs directory .* exists and is not empty.*",
        ".*LeafSpec.*",
        ".*overridden `on_before_batch_transfer` in `LightningModule` but have passed in.*",  # each does its own part
        ".*but have no `validation_step`.*",
        ".*It is recommended to use `self.log.*sync_dist=True.*",  # what is logged so is the same on all ranks
        ".*ended before the epoch ended and your dataloader is not resumable.*",  # ours is
        ".*`isinstance\\(treespec, LeafSpec\\)`.*",
    ):
        warnings.filterwarnings("ignore", text)


def _started_together() -> tuple[int, int]:
    """Return how many processes torchrun has started for this run on this machine, and on how many machines."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 1, 1
    local, world = (int(os.environ.get(key, "1")) for key in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    return local, max(world // local, 1)


def _environment(options: dict[str, Any]) -> list[Any]:
    """Return where Lightning is to look for its rank: a training on one device is nobody's rank.

    What launchers leave in the environment (RANK, SLURM_PROCID, SLURM_NTASKS) tells of other processes only where the
    run is spread over devices. SLURM's requeueing would save in the middle of a step.
    """
    devices = options["devices"]
    if (devices == 1 or (isinstance(devices, list) and len(devices) == 1)) and options["num_nodes"] == 1:
        rank_zero_only.rank = 0  # type: ignore[attr-defined]
        return [LightningEnvironment()]
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def trainer_options(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of Lightning's Trainer that may be given under ``trainer.``, with our defaults.

    Args:
        given: The options under ``trainer.``, checked.
    """
    devices, nodes = _started_together()
    options: dict[str, Any] = {
        "accelerator": "auto",
        "devices": devices,
        "num_nodes": nodes,
        "deterministic": "warn",
        "log_every_n_steps": 1,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        **given,
    }
    return {**options, "plugins": [*_environment(options), WholeFiles(), *(options.get("plugins") or [])]}
