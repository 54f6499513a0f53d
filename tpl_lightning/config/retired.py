"""Options of earlier versions, which files and stored runs may still name: renamed ones count, others do nothing."""

import sys
from collections.abc import Mapping
from typing import Any

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

RENAMED = {"direct.level_freedom": "direct.offset_shrinkage", "direct.adapt": "direct.empirical_bayes"}
"""Key of earlier versions to its name today."""

_GROUPS = {"matcher": "method=tpl_plus has no matching network any more"}


def is_retired(key: str) -> bool:
    """Tell whether a dotted key was an option of an earlier version and is none any more."""
    return key in RETIRED or key.partition(".")[0] in _GROUPS


def as_today(options: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return options by today's names, without retired ones; says what of them a user would miss.

    Args:
        options: Dotted keys to values, as they were given.
        origin: Where they come from, for the notes.
    """
    kept, notes, is_stored = dict(options), {}, origin.startswith("stored")
    for key, value in options.items():
        group = key.partition(".")[0]
        if is_retired(key) or key in RENAMED:
            del kept[key]
        if key in RENAMED:
            kept.setdefault(RENAMED[key], value)
            notes[key] = "" if is_stored else f"{key} is called {RENAMED[key]} now"
        elif group in _GROUPS:
            notes[group] = "" if is_stored else f"{group}.* are no options any more ({_GROUPS[group]})"
        elif key in RETIRED and value != RETIRED[key][0]:
            notes[key] = f"{key} is no option any more ({RETIRED[key][1]}); it is left out"
    for note in filter(None, notes.values()):
        print(f"Note: {origin}: {note}.", file=sys.stderr)
    return kept
