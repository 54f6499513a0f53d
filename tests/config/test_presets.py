"""What a method sets beside its name: over the defaults, under what is given."""

from dataclasses import fields

import pytest

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.presets import PRESETS
from tpl_lightning.config.runs import Method
from tpl_lightning.config.tree import Config


@pytest.mark.parametrize("method", PRESETS)
def test_presets_are_of_methods_and_of_options_that_there_are(method):
    assert method in Method.__args__
    config = Config()
    for section, options in PRESETS[method].items():
        assert options.keys() <= {field.name for field in fields(getattr(config, section))}


def test_a_preset_lies_over_the_defaults_and_under_what_is_given():
    plain, preset = load_config(["method=tpl"]), load_config(["method=tpl_plus"])
    assert (plain.model.aligner, plain.model.latent_dim, plain.loss.leave_one_out) == ("inception", 1, False)
    assert (preset.model.aligner, preset.model.latent_dim, preset.loss.leave_one_out) == ("path", None, True)
    assert preset.train.val_every == 10
    given = load_config(["method=tpl_plus", "model.latent_dim=3", "loss.leave_one_out=false"])
    assert (given.model.aligner, given.model.latent_dim, given.loss.leave_one_out) == ("path", 3, False)


def test_a_preset_is_one_for_the_method_that_comes_last():
    assert load_config(["method=tpl_plus", "method=tpl"]).model.aligner == "inception"
