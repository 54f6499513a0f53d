"""The processes that share one ``tpl fit``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tpl_lightning import functional, lit
from tpl_lightning.config import Config

_TRAINED = ("dtan", "lav", "tcc", "tpl", "tpl_plus")  # methods with a network, which is trained on many devices


@contextmanager
def joined_ranks(config: Config) -> Iterator[None]:
    """Connect with the other processes of this run, if it has any; all leave together.

    A run is distributed if its training is spread over devices (``trainer.devices``, ``trainer.num_nodes``), or
    torchrun started it. Ranks that some launcher left in the environment say nothing.

    Raises:
        UserError: If Lightning cannot be set up so, or another process of the run has died.
    """
    together = "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
    if config.method in _TRAINED and (config.trainer or together):
        lit.join_ranks(config)
    elif together:
        import torch.distributed as dist

        dist.init_process_group("gloo")
    elif config.trainer:
        lit.check_trainer_options(config.trainer)

    try:
        yield
        functional.wait_for_all()
    finally:
        functional.part_from_ranks()
