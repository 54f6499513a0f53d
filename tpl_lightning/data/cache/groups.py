"""Feature groups of a cache: channels side by side that different extractors made, each group with a name.

Attribute ``feature_groups`` lists name and number of channels of each, in order. A cache without it has one group,
named after its extractor.
"""

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tpl_lightning.config import DataConfig
from tpl_lightning.errors import UserError, first_few, plain_warnings

if TYPE_CHECKING:
    from tpl_lightning.data.cache.reader import EmbeddingCache

ALIASES = {
    "dinov2": "facebook/dinov2-base",
    "openclip": "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
    "pose": "usyd-community/vitpose-base-simple",
}
"""Short names of models on the Hugging Face hub. OpenCLIP's checkpoints are published there for transformers too."""

State = tuple[dict[str, np.ndarray], dict[str, Any]]
"""What an extractor leaves in a cache: arrays, and parameters that JSON can hold."""

COMBINED = "combined"
"""Kind of the state of several extractors."""


class FeatureGroup(NamedTuple):
    """Channels side by side that one extractor made.

    Example:
        >>> FeatureGroup("hog", 64).channels
        64
    """

    name: str
    channels: int


def group_name(extractor: str) -> str:
    """Return the name of the group that an extractor makes: ``hog``, ``dinov2``, else the last part of its name.

    Example:
        >>> group_name("hog-pca64"), group_name("models/my-vit")
        ('hog', 'my-vit')
    """
    for alias, model in ALIASES.items():
        if extractor == model:
            return alias
    return re.sub(r"-pca\d+$", "", PurePath(extractor).name) or "features"


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names of which each occurs once: a second ``a`` becomes ``a-2``.

    Example:
        >>> unique_names(["hog", "vit", "hog"])
        ['hog', 'vit', 'hog-2']
    """
    found: list[str] = []
    for name in names:
        count, unique = 1, name
        while unique in found:
            count += 1
            unique = f"{name}-{count}"
        found.append(unique)
    return found


def read_groups(text: str, extractor: str, channels: int) -> list[FeatureGroup]:
    """Return the groups of attribute ``feature_groups``, or the one of a cache without it.

    Raises:
        ValueError: If the text is no list of names and numbers that fits the channels; says what is wrong.
    """
    if not text:
        return [FeatureGroup(group_name(extractor), channels)]
    try:
        groups = [FeatureGroup(str(name), int(size)) for name, size in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise ValueError("attribute 'feature_groups' is no JSON list of [name, channels]") from error
    names = [group.name for group in groups]
    if len(set(names)) < len(names) or min((group.channels for group in groups), default=0) < 1:
        raise ValueError(f"attribute 'feature_groups' must name groups of 1 or more channels once each, found {text}")
    total = sum(group.channels for group in groups)
    if total != channels:
        raise ValueError(f"attribute 'feature_groups' counts {total} channels, but embeddings have {channels}")
    return groups


def split_columns(groups: Sequence[FeatureGroup]) -> list[slice]:
    """Return the channels of each group."""
    ends = np.cumsum([group.channels for group in groups]).tolist()
    return [slice(end - group.channels, end) for group, end in zip(groups, ends, strict=True)]


def find_groups(cache: "EmbeddingCache", names: Sequence[str]) -> list[int]:
    """Return the number of each named group.

    Raises:
        UserError: If the cache has no such group.
    """
    known = [group.name for group in cache.feature_groups]
    for name in names:
        if name not in known:
            raise UserError(
                f"{cache.path}: no feature group {name!r} (data.groups); it holds {', '.join(known)}; name some of "
                "these, or leave data.groups out for all."
            )
    return [known.index(name) for name in names]


def join_states(states: Sequence[State | None]) -> State:
    """Return one state of several extractors side by side; None where it is not known what made a part.

    Example:
        >>> arrays, parameters = join_states([({"mean": np.zeros(2)}, {"kind": "hog"}), None])
        >>> sorted(arrays), parameters["parts"]
        (['0.mean'], [{'kind': 'hog'}, None])
    """
    arrays = {f"{i}.{name}": values for i, state in enumerate(states) if state for name, values in state[0].items()}
    return arrays, {"kind": COMBINED, "parts": [None if state is None else state[1] for state in states]}


def part_states(state: State | None, count: int) -> list[State | None]:
    """Return the states that :func:`join_states` was given; ``count`` is how many groups the cache has.

    Example:
        >>> part_states(join_states([({"mean": np.zeros(2)}, {"kind": "hog"}), None]), 2)
        [({'mean': array([0., 0.])}, {'kind': 'hog'}), None]
    """
    if state is None or state[1].get("kind") != COMBINED:
        return [state if count == 1 else None] * count
    arrays, parts = state[0], state[1].get("parts", [])
    if len(parts) != count:
        return [None] * count
    own: list[dict[str, np.ndarray]] = [{} for _ in parts]
    for name, values in arrays.items():
        number, _, rest = name.partition(".")
        own[int(number)][rest] = values
    return [None if parameters is None else (own[i], parameters) for i, parameters in enumerate(parts)]


def warn_of_still(cache: "EmbeddingCache") -> None:
    """Warn of feature groups that do not change over time in some videos, as ``cache.validate()`` has found them.

    Example:
        >>> from tpl_lightning.data import ArrayCache
        >>> warn_of_still(ArrayCache([np.eye(4), np.eye(3, 4)], action=["jump", "jump"]))  # nothing does
    """
    if cache.still_groups:
        _warn(f"{cache.path}: {_still_text(cache)}. An extractor that failed makes such; {_WAYS}.")


def usable_groups(cache: "EmbeddingCache", data: DataConfig) -> tuple["EmbeddingCache", DataConfig]:
    """Leave out feature groups that do not change over time in some videos, as ``cache.validate()`` has found them.

    Args:
        cache: A cache that was validated.
        data: Which groups were asked for.

    Returns:
        The cache, and the options with ``groups`` set where some were left out.

    Raises:
        UserError: If such a group was asked for, or none is left.

    Example:
        >>> from tpl_lightning.data import ArrayCache
        >>> cache = ArrayCache([np.eye(4), np.eye(3, 4)], action=["jump", "jump"])
        >>> usable_groups(cache, DataConfig())[0] is cache  # nothing stands still
        True
    """
    if not cache.still_groups:
        return cache, data
    kept = [group.name for group in cache.feature_groups if group.name not in cache.still_groups]
    found = f"{cache.path}: {_still_text(cache)}"
    if data.groups is not None or data.group_weights is not None or not kept:
        others = f", or use data.groups=[{','.join(kept)}]" if kept else ""
        raise UserError(f"{found}; {_WAYS}{others}.")
    _warn(f"{found}. Only {', '.join(kept)} is used; {_WAYS}.")
    return cache.choose(kept), replace(data, groups=kept)


_WAYS = "embed these videos anew or leave them out"


def _still_text(cache: "EmbeddingCache") -> str:
    return "; ".join(
        f"feature group {name!r} does not change over time in {len(videos)} videos ({first_few([*map(repr, videos)])})"
        for name, videos in cache.still_groups.items()
    )


def _warn(text: str) -> None:
    with plain_warnings():
        warnings.warn(text, stacklevel=3)
