"""The configuration of a run as it is kept."""

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.stored import changed, differences, save_config
from tpl_lightning.config.tree import config_to_dict


def test_saved_configuration_loads_to_the_same(tmp_path):
    config = load_config(["seed=5", "data.actions=[a]", "loss.t0=3"])
    save_config(config, tmp_path / "config.yaml")
    assert load_config([str(tmp_path / "config.yaml")]) == config
    assert load_config(defaults=config_to_dict(config)) == config


def test_what_differs_is_named_with_both_values():
    was, now = load_config(["seed=5", "trainer.precision=32"]), load_config(["data.pca=3", "trainer.devices=2"])
    assert changed(config_to_dict(was), config_to_dict(now)) == {
        "data.pca": (64, 3),
        "seed": (5, 0),
        "trainer.devices": (None, 2),
        "trainer.precision": (32, None),
    }
    assert changed(config_to_dict(load_config()), config_to_dict(load_config(["trainer.devices=2"]))) == {
        "trainer.devices": (None, 2)  # an empty group is no value
    }
    assert differences(load_config(["method=tpl_plus", "model.projection=none"])) == {
        "method": "tpl_plus",  # what the method sets beside is left out
        "model": {"projection": "none"},
    }
