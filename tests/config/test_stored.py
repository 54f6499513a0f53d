"""The configuration of a run as it is kept."""

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.stored import save_config
from tpl_lightning.config.tree import config_to_dict


def test_saved_configuration_loads_to_the_same(tmp_path):
    config = load_config(["seed=5", "data.actions=[a]", "loss.t0=3"])
    save_config(config, tmp_path / "config.yaml")
    assert load_config([str(tmp_path / "config.yaml")]) == config
    assert load_config(defaults=config_to_dict(config)) == config
