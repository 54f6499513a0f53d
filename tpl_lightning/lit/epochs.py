"""How many epochs a network is trained for where no number is given."""

from dataclasses import replace

from tpl_lightning.config import Config
from tpl_lightning.functional import num_ranks

EPOCHS = 300  # of networks that learn to predict warps
STEPS = 60  # of one whose aligner has no weights: more change no score


def with_epochs(config: Config, videos: int) -> Config:
    """Return the configuration with ``train.max_epochs`` as a number, validations within it.

    Args:
        config: The configuration; a number that it gives stays.
        videos: Training videos; where steps are counted, an epoch has one for each batch of all ranks.

    Example:
        >>> from tpl_lightning.config import load_config
        >>> with_epochs(load_config(["method=tpl"]), videos=70).train.max_epochs
        300
    """
    epochs = config.train.max_epochs
    if epochs is None and config.model.aligner == "path" and config.method in ("tpl", "tpl_plus"):
        epochs = -(-STEPS // max(-(-videos // (config.data.batch_size * num_ranks())), 1))
    epochs = epochs or EPOCHS
    return replace(
        config, train=replace(config.train, max_epochs=epochs, val_every=min(config.train.val_every, epochs))
    )
