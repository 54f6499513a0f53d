"""Options of earlier versions, which files and stored runs may still name: they are read, and change nothing."""

import sys
from typing import Any

__all__ = ["RETIRED", "is_retired", "without_retired"]

RETIRED: dict[str, tuple[Any, str]] = {
    "direct.first_smoothness": (0.15, "the first fit has 1.5 times direct.smoothness"),
    "direct.metric": (True, "the metric is always learned"),
    "direct.metric_channels": (64, "the metric has 64 axes"),
    "direct.derivative_sigma": (0.0125, "derivatives are smoothed over .0125 of the video, .002 in detail"),
    "direct.stages": ([0.1, 0.05, 0.025, 0.0125], "the scales are those that suit paths as a start"),
    "direct.paths": (1, "paths always start the last fit"),
    "direct.sharpen": (True, "paths are always refined between points"),
    "direct.grid": (None, "the grid follows the prototypes"),
    "direct.leave_one_out": (True, "a training video is always compared with the mean of the others"),
    "direct.joint_videos": (360, "see direct.max_videos"),
}
"""Key to its last default and what holds in its place."""

_GROUPS = {"matcher": "method=tpl_plus has no matching network any more"}


def is_retired(key: str) -> bool:
    """Tell whether a dotted key was an option of an earlier version."""
    return key in RETIRED or key.partition(".")[0] in _GROUPS


def without_retired(tree: Any, origin: str) -> Any:
    """Return an OmegaConf tree without retired options; says so of those that were not at their default.

    Args:
        tree: Nested options as they were given.
        origin: Where they come from, for the note.
    """
    from omegaconf import DictConfig, OmegaConf

    if not isinstance(tree, DictConfig):
        return tree
    tree = tree.copy()
    for group in _GROUPS.keys() & tree.keys():
        if not origin.startswith("stored"):
            print(f"Note: {origin}: {group}.* are no options any more ({_GROUPS[group]}).", file=sys.stderr)
        del tree[group]
    for key, (default, now) in RETIRED.items():
        group, _, name = key.rpartition(".")
        options = OmegaConf.select(tree, group)
        if not isinstance(options, DictConfig) or name not in options:
            continue
        value = OmegaConf.to_container(options)[name]  # type: ignore[call-overload,index]
        if value != default:
            print(f"Note: {origin}: {key} is no option any more ({now}); it is left out.", file=sys.stderr)
        del options[name]
    return tree
