"""Options of Lightning's Trainer: which may be given, what is refused in one line, what launchers leave behind."""

import pytest

from tests.conftest import write_cache
from tests.small_training import small_fit
from tpl_lightning.config.loading import load_config
from tpl_lightning.errors import UserError
from tpl_lightning.lit.trainer import build_trainer
from tpl_lightning.lit.trainer_options import check_trainer_options

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


def test_launchers_that_started_other_processes_leave_a_training_on_one_device_alone(monkeypatch):
    for name, value in (("RANK", "3"), ("SLURM_PROCID", "3"), ("SLURM_NTASKS", "4"), ("SLURM_JOB_NAME", "x")):
        monkeypatch.setenv(name, value)
    config = load_config(["trainer.accelerator=cpu", "run.progress=false"])
    trainer = build_trainer(config, None, callbacks=[], max_epochs=1)
    assert (trainer.world_size, trainer.global_rank) == (1, 0)
