"""The configuration: order of precedence, types, one-line errors."""

import subprocess
import sys
from pathlib import Path

import pytest

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.stored import save_config
from tpl_lightning.config.tree import Config, config_to_dict
from tpl_lightning.errors import UserError

ROOT = Path(__file__).parent.parent


def test_later_wins_and_arguments_win_over_files(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("seed: 1\ndata: {fold: 0, pca: 8}\n")
    second.write_text("seed: 2\n")
    config = load_config(["data.batch_size=3", str(first), str(second), "train.lr=0.1"])
    assert (config.seed, config.data.pca, config.data.batch_size, config.train.lr) == (2, 8, 3, 0.1)
    assert load_config([str(first), "seed=7", "seed=8"]).seed == 8


def test_values_may_hold_equals_signs_lists_and_null():
    config = load_config(["data.cache=a=b.h5", "data.actions=[x,y]", "data.pca=null", "trainer.devices=2"])
    assert config.data.cache == "a=b.h5"
    assert config.data.actions == ["x", "y"]
    assert config.data.pca is None
    assert config.trainer == {"devices": 2}


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("data.cahce=x", "cahce"),
        ("nonsense=1", "nonsense"),
        ("seed=abc", "seed"),
        ("seed=-1", "seed"),
        ("train.max_epochs=0", "train.max_epochs"),
        ("train.max_epochs=2.5", "max_epochs"),
        ("method=magic", "method"),
        ("data.fold=3", "data.fold"),
        ("data.folds=1", "data.folds"),
        ("data.scale=big", "scale"),
        ("run.name=a/b", "run.name"),
        ("data=5", "data"),
        ("--verbose", "verbose"),
        ("missing.yaml", "missing.yaml"),
    ],
)
def test_bad_input_is_one_line_that_names_the_key(argument, named):
    with pytest.raises(UserError) as info:
        load_config([argument])
    assert named in str(info.value)
    assert "\n" not in str(info.value)


def test_broken_yaml_is_named(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("a: [1,\n")
    with pytest.raises(UserError, match=r"broken\.yaml"):
        load_config([str(path)])


def test_saved_configuration_loads_to_the_same(tmp_path):
    config = load_config(["seed=5", "data.actions=[a]", "loss.t0=3"])
    save_config(config, tmp_path / "config.yaml")
    assert load_config([str(tmp_path / "config.yaml")]) == config
    assert load_config(defaults=config_to_dict(config)) == config


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("experiments/*.yaml")) + sorted(ROOT.glob("experiments/ablations/*.yaml"))
)
def test_every_experiment_file_loads(path):
    assert isinstance(load_config([str(path)]), Config)


def test_help_and_errors_load_no_torch():
    code = (
        "import sys; from tpl_lightning.__main__ import main;"
        "assert main(['--help']) == 0 and main(['fit', '--help']) == 0;"
        "assert main(['fit', 'nonsense=1']) == 2 and main(['nonsense']) == 2;"
        "assert not {'torch', 'lightning', 'wandb', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("tpl: error:") == 2


def test_options_of_earlier_versions_are_read_with_a_note(tmp_path, capsys):
    old = tmp_path / "old.yaml"
    old.write_text("direct:\n  smoothness: 0.2\n  paths: 1\n  metric: true\n  stages: [0.1, 0.05, 0.025, 0.0125]\n")
    assert load_config([str(old)]).direct.smoothness == 0.2
    assert capsys.readouterr().err == ""  # all as they were by default: nothing changes
    config = load_config(["direct.paths=0", "direct.smoothness=0.3"], defaults={"direct": {"joint_videos": 99}})
    assert config.direct.smoothness == 0.3
    told = capsys.readouterr().err
    assert "direct.joint_videos is no option any more" in told
    assert "direct.paths is no option any more (paths always start the last fit)" in told
    assert told.count("\n") == 2
    with pytest.raises(UserError, match=r"direct\.path\b"):
        load_config(["direct.path=0"])


@pytest.mark.parametrize(
    "option", ["train.lr=inf", "loss.t0=nan", "direct.smoothness=.inf", "dtan.prior=inf", "trainer.gradient_x=.nan"]
)
def test_infinity_and_nan_are_no_values(option):
    key = option.partition("=")[0].replace(".", r"\.")
    with pytest.raises(UserError, match=f"`{key}` to be a finite number"):
        load_config([option])
