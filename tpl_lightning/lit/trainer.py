"""Building of lightning.Trainer from the configuration."""

import inspect
import logging
import warnings
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from tpl_lightning.config import Config
from tpl_lightning.errors import UserError
from tpl_lightning.lit.callbacks import EpochProgress, IcaeWeightAnnealing, PrototypeBuilder
from tpl_lightning.tracking import current_mirror

__all__ = ["build_trainer", "check_trainer_options"]

# What the framework sets itself; the key to use instead.
_OURS = {
    "max_epochs": "train.max_epochs",
    "gradient_clip_val": "train.clip",
    "check_val_every_n_epoch": "train.val_every",
    "enable_progress_bar": "run.progress",
    "default_root_dir": "run.dir",
    "logger": "run.name",
    "callbacks": "run.progress",
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


def _quiet() -> None:
    """Silence Lightning's tips on lines that nobody of our users can act on."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    for text in (
        ".*does not have many workers.*",
        ".*fewer than the logging interval.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*Experiment logs directory .* exists and is not empty.*",
        ".*LeafSpec.*",
        ".*`isinstance\\(treespec, LeafSpec\\)`.*",
    ):
        warnings.filterwarnings("ignore", text)


def build_trainer(
    config: Config, run_dir: Path, *, max_epochs: int | None = None, callbacks: list[Callback] | None = None
) -> Trainer:
    """Return the Trainer of a run.

    Args:
        config: The configuration.
        run_dir: Folder for checkpoints and logs.
        max_epochs: Epochs; None: ``train.max_epochs``.
        callbacks: In place of those that TPL and DTAN need (annealing, prototypes, checkpoints).

    Raises:
        UserError: If an option under ``trainer.`` is unknown, has a wrong value, or is the framework's own.
    """
    check_trainer_options(config.trainer)
    _quiet()
    train, checkpoints = config.train, run_dir / "checkpoints"
    epochs = train.max_epochs if max_epochs is None else max_epochs
    mirror = current_mirror()
    options: dict[str, object] = {"accelerator": "auto", "devices": 1, "deterministic": "warn", **config.trainer}
    if callbacks is None:
        callbacks = [PrototypeBuilder(checkpoints / "last.ckpt")]
        if config.method == "tpl":
            callbacks.insert(0, IcaeWeightAnnealing(config.loss.alpha, config.loss.t0))
        callbacks += mirror.callbacks if mirror else []
        if options.get("enable_checkpointing", True):
            # Every video count is small against a checkpoint's cost, so one file, kept current, is enough.
            callbacks.append(
                ModelCheckpoint(
                    checkpoints,
                    filename="last",
                    save_top_k=1,
                    every_n_epochs=train.val_every,
                    enable_version_counter=False,
                )
            )
    else:
        options["enable_checkpointing"] = False
    if config.run.progress:
        callbacks.append(EpochProgress(train.val_every))
    try:
        return Trainer(
            max_epochs=epochs,
            gradient_clip_val=train.clip or None,
            check_val_every_n_epoch=train.val_every,
            logger=[
                CSVLogger(str(run_dir), name="", version="", flush_logs_every_n_steps=train.val_every),
                *(mirror.loggers() if mirror else []),
            ],
            callbacks=callbacks,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # our samplers know their rank
            default_root_dir=str(run_dir),
            **options,  # type: ignore[arg-type]
        )
    except (TypeError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(f"trainer options {config.trainer}: {first}") from error
