"""Building of lightning.Trainer from the configuration, and training that can be resumed."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException

from tpl_lightning.config import Config
from tpl_lightning.errors import UserError, first_line
from tpl_lightning.files import check_same_cache, first_epoch, training_checkpoint
from tpl_lightning.functional import most_of_ranks
from tpl_lightning.lit.callbacks import EpochProgress, IcaeWeightAnnealing, PrototypeBuilder
from tpl_lightning.lit.checkpoints import Checkpoints, StepSeeds
from tpl_lightning.lit.compiling import compile_network
from tpl_lightning.lit.csv_log import open_csv_log
from tpl_lightning.lit.diagnosis import Diagnosis
from tpl_lightning.lit.module import AlignmentModule, TPLModule
from tpl_lightning.lit.path_module import PathTPLModule
from tpl_lightning.lit.stop import StopSignals
from tpl_lightning.lit.trainer_options import check_trainer_options, quiet_tips, trainer_options
from tpl_lightning.tracking import WandbRun

Result = TypeVar("Result")
_ABSURD = 1e6  # size of a weight that no training comes to
_NO_NUMBER = str(-(2**63))  # what NaN is as an index


def _loggers(run_dir: Path, resume_epoch: int | None, wandb_run: WandbRun | None) -> list[Logger]:
    return [open_csv_log(run_dir, resume_epoch=resume_epoch), *(wandb_run.loggers() if wandb_run else [])]


def _or_one_line(config: Config, call: Callable[[], Result]) -> Result:
    """Return what ``call`` gives; what Lightning finds wrong with its options is one line.

    Raises:
        UserError: For a wrong value, or what this machine does not have.
    """
    try:
        return call()
    except UserError:
        raise
    except (TypeError, ValueError, RuntimeError, ImportError, MisconfigurationException) as error:
        raise _in_one_line(config, error) from error


def _in_one_line(config: Config, error: BaseException) -> UserError:
    return UserError(f"trainer options {config.trainer}: {first_line(error)}.")


def training_callbacks(module: AlignmentModule, checkpoint: Path | None = None) -> list[Callback]:
    """Return what a module needs in whichever Trainer trains it: annealing, prototypes at the end, a diagnosis.

    Args:
        module: The module.
        checkpoint: File to save the finished module to; None: the caller saves.
    """
    if not isinstance(module, TPLModule):
        return [PrototypeBuilder(checkpoint)]
    loss = module.config["loss"]
    annealing = IcaeWeightAnnealing(loss["alpha"], loss["t0"], fractional=isinstance(module, PathTPLModule))
    return [annealing, PrototypeBuilder(checkpoint), Diagnosis()]  # the last after the prototypes are built


def join_ranks(config: Config) -> None:
    """Start or find the other processes of a training that is spread over devices, and connect with them.

    All are there before any work begins, so that what one does for all can be handed on.

    Raises:
        UserError: If Lightning cannot be set up so.
    """
    trainer = build_trainer(config, None, callbacks=[], max_epochs=1)  # how many are trained is not known yet
    launcher = trainer.strategy.launcher
    if isinstance(trainer.strategy, DDPStrategy) and isinstance(launcher, _SubprocessScriptLauncher):
        _or_one_line(config, lambda: launcher.launch(trainer.strategy.setup_environment))


def build_trainer(
    config: Config,
    run_dir: Path | None,
    *,
    callbacks: list[Callback],
    max_epochs: int | None = None,
    resume_epoch: int | None = None,
    wandb_run: WandbRun | None = None,
) -> Trainer:
    """Return the Trainer of a run.

    Args:
        config: The configuration.
        run_dir: Folder for logs; None: none.
        callbacks: What the method needs; progress is added where wanted.
        max_epochs: Epochs; None: ``train.max_epochs``.
        resume_epoch: Epoch that is trained first, where a run is resumed.
        wandb_run: Where the run is logged; None: nowhere.

    Raises:
        UserError: If an option under ``trainer.`` is unknown, has a wrong value, or is the framework's own.
    """
    check_trainer_options(config.trainer)
    quiet_tips()
    train = config.train
    epochs = max_epochs or train.max_epochs
    assert epochs is not None, "lit.epochs.with_epochs sets it"
    options = trainer_options(config.trainer)
    if config.run.progress:
        callbacks = [*callbacks, EpochProgress(min(train.val_every, max(epochs // 8, 1)))]
    # Where algorithms are deterministic, torch writes NaN to all fresh memory: a fifth of a step, and no help to us.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return _or_one_line(
        config,
        lambda: Trainer(
            max_epochs=epochs,
            gradient_clip_val=train.clip or None,
            check_val_every_n_epoch=train.val_every,
            logger=False if run_dir is None else _loggers(run_dir, resume_epoch, wandb_run),
            callbacks=callbacks,
            enable_progress_bar=False,
            enable_checkpointing=False,  # callbacks of our own save, whole or not at all
            use_distributed_sampler=False,  # our samplers know their rank
            default_root_dir=None if run_dir is None else str(run_dir),
            **options,
        ),
    )


def _largest_weight(module: LightningModule) -> float:
    largest = [p.detach().abs().max() for p in module.parameters() if p.numel()]
    return float(torch.stack(largest).nan_to_num(torch.inf).max())


@contextmanager
def _stops_in_one_line(
    config: Config, module: LightningModule, trainer: Trainer, path: Path, stop: StopSignals
) -> Iterator[None]:
    """Turn what Lightning raises within a fit into one line, or into the exit code of the signal that asked to stop."""
    try:
        yield
    except MisconfigurationException as error:
        raise _in_one_line(config, error) from error
    except SIGTERMException as end:  # without a code it would look like success
        raise SystemExit(stop.exit_code) from end
    except (IndexError, RuntimeError) as error:  # places that are not numbers are no index
        if _largest_weight(module) < _ABSURD and _NO_NUMBER not in str(error):
            raise
        raise UserError(
            f"the training diverged: weights or warps are absurd at step {trainer.global_step} (epoch "
            f"{trainer.current_epoch}); take a lower learning rate. What was saved before is kept in {path}."
        ) from error
    except SystemExit as end:  # Lightning's answer to a second Ctrl-C
        raise KeyboardInterrupt from end


def train(
    module: LightningModule,
    config: Config,
    run_dir: Path,
    *,
    fingerprint: str,
    datamodule: LightningDataModule | None = None,
    max_epochs: int | None = None,
    callbacks: Sequence[Callback] = (),
    wandb_run: WandbRun | None = None,
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
        wandb_run: Where the run is logged, with callbacks of its own; None: nowhere.

    Raises:
        UserError: As :func:`build_trainer`; or if the checkpoint cannot be read or is of another cache.
        UserError: If a loss or weight is not finite, or Lightning cannot be set up so.
        SystemExit: After a signal that asks to stop: 130 after Ctrl-C, 143 after SIGTERM or SIGUSR1.
    """
    path = run_dir / "checkpoints" / "last.ckpt"
    found = training_checkpoint(path) if config.resume else None
    epoch = None if config.resume is None else 0
    if found is not None:
        check_same_cache(found["callbacks"][Checkpoints.__name__]["fingerprint"], fingerprint, path)
        epoch = first_epoch(found)
        print(f"Resumed after epoch {epoch} of {max_epochs or config.train.max_epochs}.", file=sys.stderr)
    with StopSignals() as stop:
        own: list[Callback] = [StepSeeds(config.seed), Checkpoints(path, fingerprint, stop)]
        trainer = build_trainer(
            config,
            run_dir,
            callbacks=[*own, *callbacks, *(wandb_run.callbacks if wandb_run else [])],
            max_epochs=max_epochs,
            resume_epoch=epoch,
            wandb_run=wandb_run,
        )
        if config.train.compile:
            compile_network(module)
        with _stops_in_one_line(config, module, trainer, path, stop):
            trainer.fit(module, datamodule=datamodule, ckpt_path=path if found else None, weights_only=True)
        stop.number = most_of_ranks(stop.number)[0]
    if stop.number:
        if trainer.is_global_zero:
            print(f"the training is done and saved; go on with: tpl fit resume={run_dir}", flush=True)
        raise SystemExit(stop.exit_code)
    return trainer
