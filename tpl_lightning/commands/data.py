"""The data that a configuration names."""

from dataclasses import replace

from tpl_lightning import data, datasets, functional
from tpl_lightning.config import Config

__all__ = ["open_data"]


def open_data(config: Config, *, most_frames: int | None = None) -> "tuple[data.EmbeddingCache, Config]":
    """Find or make the cache, check it, and return it with the configuration that names it and its usable groups.

    Args:
        config: The configuration.
        most_frames: Frames that are read for the check; None: all.
    """
    path = functional.on_rank_zero(lambda: datasets.find_or_make_cache(config.data, progress=config.run.progress))
    cache = data.open_cache(path, config.data.groups)
    cache.validate(most_frames=most_frames)
    cache, usable = data.usable_groups(cache, config.data)
    return cache, replace(config, data=replace(usable, cache=str(cache.path)))
