"""Building of lightning.Trainer from the configuration, and training that can be resumed."""

import inspect
import logging
import os
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn

from tpl_lightning.checkpoint_file import check_same_cache, first_epoch, training_checkpoint
from tpl_lightning.config import Config
from tpl_lightning.errors import UserError
from tpl_lightning.lit.callbacks import EpochProgress
from tpl_lightning.lit.checkpoints import Checkpoints, StepSeeds
from tpl_lightning.lit.csv_log import open_csv_log
from tpl_lightning.lit.module import AlignmentModule
from tpl_lightning.tracking import current_mirror

__all__ = ["build_trainer", "check_trainer_options", "train"]

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


def _quiet() -> None:
    """Silence Lightning's tips on lines that nobody of our users can act on."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    for text in (
        ".*does not have many workers.*",
        ".*fewer than the logging interval.*",
        ".*Experiment logs directory .* exists and is not empty.*",
        ".*LeafSpec.*",
        ".*overridden `on_before_batch_transfer` in `LightningModule` but have passed in.*",  # each does its own part
        ".*but have no `validation_step`.*",
        ".*ended before the epoch ended and your dataloader is not resumable.*",  # ours is
        ".*`isinstance\\(treespec, LeafSpec\\)`.*",
    ):
        warnings.filterwarnings("ignore", text)


def _loggers(config: Config, run_dir: Path, resume_epoch: int | None) -> list[Logger]:
    mirror = current_mirror()
    return [open_csv_log(run_dir, resume_epoch=resume_epoch), *(mirror.loggers() if mirror else [])]


def _slurm_plugins() -> list[Any]:
    """Return what keeps Lightning from saving in the middle of a step and queueing the job again by itself."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def build_trainer(
    config: Config,
    run_dir: Path,
    *,
    callbacks: list[Callback],
    max_epochs: int | None = None,
    resume_epoch: int | None = None,
) -> Trainer:
    """Return the Trainer of a run.

    Args:
        config: The configuration.
        run_dir: Folder for logs.
        callbacks: What the method needs; progress is added where wanted.
        max_epochs: Epochs; None: ``train.max_epochs``.
        resume_epoch: Epoch that is trained first, where a run is resumed.

    Raises:
        UserError: If an option under ``trainer.`` is unknown, has a wrong value, or is the framework's own.
    """
    check_trainer_options(config.trainer)
    _quiet()
    train = config.train
    epochs = max_epochs or train.max_epochs
    assert epochs is not None, "aligners.base.with_epochs sets it"
    options: dict[str, Any] = {"accelerator": "auto", "devices": 1, "deterministic": "warn", **config.trainer}
    options["plugins"] = _slurm_plugins() + list(options.get("plugins") or [])
    if config.run.progress:
        callbacks = [*callbacks, EpochProgress(min(train.val_every, max(epochs // 8, 1)))]
    try:
        return Trainer(
            max_epochs=epochs,
            gradient_clip_val=train.clip or None,
            check_val_every_n_epoch=train.val_every,
            logger=_loggers(config, run_dir, resume_epoch),
            callbacks=callbacks,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,  # callbacks of our own save, whole or not at all
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # our samplers know their rank
            default_root_dir=str(run_dir),
            **options,
        )
    except (TypeError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(f"trainer options {config.trainer}: {first}") from error


def _compile_network(module: LightningModule) -> None:
    """Compile the networks that the module trains, in place: names in checkpoints stay as they are.

    Warps are left as they are: their loop is over tensors of the caller's shapes, and takes a small part of the time.
    Convolutions that are trained are compiled for one size at a time, whatever ``dynamic`` says; batches are
    padded so that there are few sizes (``COMPILED_STEP``).

    Raises:
        UserError: If a CPU is trained on and there is no C++ compiler.
    """
    if not torch.cuda.is_available() and not any(map(shutil.which, ("g++", "clang++", os.environ.get("CXX", "g++")))):
        raise UserError(
            "train.compile=true needs a C++ compiler on a CPU (g++ or clang++); install one, or leave it out."
        )
    whole: list[Any] = list(module.model.children()) if isinstance(module, AlignmentModule) else [module.network]
    parts = [part for part in whole if any(True for _ in part.parameters())]
    for part in parts:
        assert isinstance(part, nn.Module)
        part.compile(dynamic=False)
    # Frames up to 600 or points, batches whose sizes differ by one, training and validation.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 64)


def train(
    module: LightningModule,
    config: Config,
    run_dir: Path,
    *,
    fingerprint: str,
    datamodule: LightningDataModule | None = None,
    max_epochs: int | None = None,
    callbacks: Sequence[Callback] = (),
) -> Trainer:
    """Train a module, from the last checkpoint of ``run_dir`` where ``config.resume`` says so, and return the Trainer.

    Args:
        module: The module.
        config: The configuration.
        run_dir: Folder for checkpoints and logs.
        fingerprint: Of the cache that is trained on.
        datamodule: The data; None: the module's own.
        max_epochs: Epochs; None: ``train.max_epochs``.
        callbacks: What the method needs beside seeds, checkpoints and progress.

    Raises:
        UserError: As :func:`build_trainer`; or if the checkpoint cannot be read or is of another cache.
        SystemExit: With code 143, after SIGTERM or SIGUSR1.
    """
    path = run_dir / "checkpoints" / "last.ckpt"
    found = training_checkpoint(path) if config.resume else None
    epoch = None if config.resume is None else 0
    if found is not None:
        check_same_cache(found["callbacks"][Checkpoints.__name__]["fingerprint"], fingerprint, path)
        epoch = first_epoch(found)
        print(f"Resumed after epoch {epoch} of {max_epochs or config.train.max_epochs}.", file=sys.stderr)
    own: list[Callback] = [StepSeeds(config.seed), Checkpoints(path, fingerprint)]
    trainer = build_trainer(config, run_dir, callbacks=[*own, *callbacks], max_epochs=max_epochs, resume_epoch=epoch)
    if config.train.compile:
        _compile_network(module)
    try:
        with _stopped_by_sigusr1():
            trainer.fit(module, datamodule=datamodule, ckpt_path=None if found is None else path, weights_only=True)
    except SIGTERMException as stop:  # without a code it would look like success
        raise SystemExit(128 + signal.SIGTERM) from stop
    return trainer


@contextmanager
def _stopped_by_sigusr1() -> Iterator[None]:
    """Have SIGUSR1, with which schedulers warn of the end of a job's time, save and stop as SIGTERM does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = signal.signal(signal.SIGUSR1, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
