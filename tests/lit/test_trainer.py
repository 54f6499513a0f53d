"""The Trainer of a run: options that may be given, what is refused in one line, callbacks of each method."""

import pytest

from tests.conftest import write_cache
from tests.lit.path_training import METADATA
from tests.small_training import small_fit
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.errors import UserError
from tpl_lightning.lit.callbacks import EpochProgress, IcaeWeightAnnealing, PrototypeBuilder
from tpl_lightning.lit.diagnosis import Diagnosis
from tpl_lightning.lit.dtan import DTANModule
from tpl_lightning.lit.module import TPLModule
from tpl_lightning.lit.path_module import PathTPLModule
from tpl_lightning.lit.trainer import build_trainer, check_trainer_options, training_callbacks

TINY = ["method=tpl", "train.max_epochs=6", "data.batch_size=2", "trainer.accelerator=cpu"]


def _fit(folder, *options):
    return small_fit(folder / "c.h5", folder / "runs", "r", *TINY, *options)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("trainer.accelerator=tpu", "trainer options"),
        ("trainer.precision=17-mixed", "trainer options"),
        ("trainer.devices=[0,0]", "trainer options"),
        ("trainer.max_epochs=3", "train.max_epochs"),
    ],
)
def test_what_lightning_cannot_set_up_is_one_line_before_a_folder_is_made(tmp_path, option, words, capsys):
    write_cache(tmp_path / "c.h5")
    assert _fit(tmp_path, option) == 2
    error = capsys.readouterr().err
    assert words in error.splitlines()[-1]
    assert "Traceback" not in error
    assert not (tmp_path / "runs").exists()


def test_options_that_have_a_default_of_ours_can_be_given(tmp_path):
    write_cache(tmp_path / "c.h5")
    given = ["trainer.log_every_n_steps=5", "trainer.num_sanity_val_steps=1", "trainer.enable_model_summary=false"]
    assert _fit(tmp_path, "train.max_epochs=1", *given) == 0


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("max_epochs", r"trainer\.max_epochs: set by the framework; use train\.max_epochs=VALUE"),
        ("gradient_clip_val", r"use train\.clip="),
        ("enable_checkpointing", "use resume="),
        ("acelerator", r"trainer\.acelerator: unknown option; Lightning's Trainer has: accelerator, "),
        ("self", "unknown option"),
    ],
)
def test_options_of_the_framework_and_unknown_ones_are_refused(key, words):
    check_trainer_options({"accelerator": "cpu", "precision": "bf16-mixed"})
    with pytest.raises(UserError, match=words):
        check_trainer_options({"accelerator": "cpu", key: 1})


def test_the_trainer_has_the_options_of_the_run():
    options = ["trainer.accelerator=cpu", "trainer.limit_train_batches=3", "train.clip=0.5", "train.val_every=4"]
    trainer = build_trainer(load_config([*options, "run.progress=false"]), None, callbacks=[], max_epochs=9)
    assert (trainer.max_epochs, trainer.check_val_every_n_epoch, trainer.limit_train_batches) == (9, 4, 3)
    assert trainer.gradient_clip_val == 0.5
    assert (trainer.num_devices, trainer.num_sanity_val_steps, trainer.loggers) == (1, 0, [])
    assert not any(isinstance(callback, EpochProgress) for callback in trainer.callbacks)


def test_progress_is_shown_where_wanted():
    config = load_config(["trainer.accelerator=cpu", "run.progress=true", "train.val_every=40"])
    trainer = build_trainer(config, None, callbacks=[], max_epochs=80)
    (shown,) = (callback for callback in trainer.callbacks if isinstance(callback, EpochProgress))
    assert shown.every == 10


def test_launchers_that_started_other_processes_leave_a_training_on_one_device_alone(monkeypatch):
    for name, value in (("RANK", "3"), ("SLURM_PROCID", "3"), ("SLURM_NTASKS", "4"), ("SLURM_JOB_NAME", "x")):
        monkeypatch.setenv(name, value)
    config = load_config(["trainer.accelerator=cpu", "run.progress=false"])
    trainer = build_trainer(config, None, callbacks=[], max_epochs=1)
    assert (trainer.world_size, trainer.global_rank) == (1, 0)


@pytest.mark.parametrize(
    ("kind", "options", "fractional"),
    [(TPLModule, ["method=tpl", "loss.t0=7"], False), (PathTPLModule, ["loss.t0=7"], True), (DTANModule, [], None)],
)
def test_callbacks_are_those_that_the_module_needs(tmp_path, kind, options, fractional):
    module = kind(config_to_dict(load_config(options)), METADATA)
    found = training_callbacks(module, tmp_path / "last.ckpt")
    (builder,) = (callback for callback in found if isinstance(callback, PrototypeBuilder))
    assert builder.checkpoint == tmp_path / "last.ckpt"
    assert training_callbacks(module)[-1 if fractional is None else 1].checkpoint is None
    if fractional is None:
        assert found == [builder]
    else:
        annealing, _, look = found
        assert isinstance(annealing, IcaeWeightAnnealing)
        assert (annealing.alpha, annealing.t0, annealing.fractional) == (2.0, 7.0, fractional)
        assert isinstance(look, Diagnosis)  # after the prototypes are built
