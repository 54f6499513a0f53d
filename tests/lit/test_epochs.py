"""How many epochs a training has where no number is given."""

from tpl_lightning.config.loading import load_config
from tpl_lightning.lit.epochs import with_epochs


def test_epochs_are_as_many_as_make_60_steps_unless_given(monkeypatch):
    config = load_config(["data.batch_size=16"])
    assert with_epochs(config, 17).train.max_epochs == 30
    assert with_epochs(config, 1000).train.max_epochs == 1
    assert with_epochs(load_config(["train.max_epochs=7"]), 17).train.max_epochs == 7
    assert with_epochs(load_config(["method=tpl"]), 17).train.max_epochs == 300
    assert with_epochs(config, 1000).train.val_every == 1
    monkeypatch.setattr("tpl_lightning.lit.epochs.num_ranks", lambda: 4)
    assert with_epochs(config, 1000).train.max_epochs == 4


def test_validations_lie_within_the_epochs():
    assert with_epochs(load_config(["train.max_epochs=7", "train.val_every=20"]), 17).train.val_every == 7
    assert with_epochs(load_config(["train.max_epochs=7", "train.val_every=3"]), 17).train.val_every == 3
