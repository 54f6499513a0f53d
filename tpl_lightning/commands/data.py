"""The data that a configuration names."""

from dataclasses import replace
from typing import TYPE_CHECKING

from tpl_lightning.config import Config

if TYPE_CHECKING:
    from tpl_lightning.data import EmbeddingCache

__all__ = ["open_data"]


def open_data(config: Config, *, most_frames: int | None = None) -> "tuple[EmbeddingCache, Config]":
    """Find or make the cache, check it, and return it with the configuration that names it and its usable groups.

    Args:
        config: The configuration.
        most_frames: Frames that are read for the check; None: all.
    """
    from tpl_lightning.data import open_cache, usable_groups
    from tpl_lightning.datasets import find_or_make_cache
    from tpl_lightning.functional import on_rank_zero

    path = on_rank_zero(lambda: find_or_make_cache(config.data, progress=config.run.progress))
    cache = open_cache(path, config.data.groups)
    cache.validate(most_frames=most_frames)
    cache, data = usable_groups(cache, config.data)
    return cache, replace(config, data=replace(data, cache=str(cache.path)))
