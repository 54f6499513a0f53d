"""``tpl cache join``: caches of the same videos by different extractors become one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tpl_lightning import data, features
from tpl_lightning.commands.arguments import parse_options
from tpl_lightning.commands.embedding import writing_cache
from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs


@dataclass(frozen=True)
class JoinOptions:
    """Options of ``tpl cache join``."""

    out: str | None = None
    """The cache to write."""
    missing: Literal["refuse", "drop"] = "refuse"
    """Videos of the first cache that another lacks: refuse, or drop them."""
    overwrite: bool = False
    """Replace a cache that is there."""
    progress: bool = True
    """Show progress."""


def join(arguments: list[str]) -> Path:
    """Join caches, and return the new one."""
    paths, options = parse_options("cache join", arguments, JoinOptions)
    if len(paths) < 2 or options.out is None:
        raise UserError("tpl cache join: expected two caches or more: tpl cache join A.h5 B.h5 out=AB.h5.")
    places = [Path(path).resolve() for path in paths]
    twice = next((path for path, place in zip(paths, places, strict=True) if places.count(place) > 1), None)
    if twice is not None:
        raise UserError(f"{twice}: given twice; name caches of different extractors.")

    out = Path(options.out)
    caches = [data.open_cache(path) for path in paths]
    outputs = Outputs("cache join", [file for cache in caches for file in cache.files])
    with writing_cache(out, options.overwrite, outputs):
        return features.join_caches(caches, out, drop_missing=options.missing == "drop", progress=options.progress)
