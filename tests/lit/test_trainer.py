"""The Trainer of a run: its options, progress, callbacks of each method."""

import pytest

from tests.lit.path_training import METADATA
from tests.small_training import small_fit
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.lit.callbacks import EpochProgress, IcaeWeightAnnealing, PrototypeBuilder
from tpl_lightning.lit.diagnosis import Diagnosis
from tpl_lightning.lit.dtan import DTANModule
from tpl_lightning.lit.module import TPLModule
from tpl_lightning.lit.path_module import PathTPLModule
from tpl_lightning.lit.trainer import build_trainer, training_callbacks

TINY = ["method=tpl", "train.max_epochs=6", "data.batch_size=2", "trainer.accelerator=cpu"]


def _fit(folder, *options):
    return small_fit(folder / "c.h5", folder / "runs", "r", *TINY, *options)


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
