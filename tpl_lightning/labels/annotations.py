"""Phases of many videos by their names."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from tpl_lightning.files import canonical
from tpl_lightning.labels.doubts import warn_of_names
from tpl_lightning.labels.spans import PhaseSpans, Unit
from tpl_lightning.labels.tables import wrong_layout
from tpl_lightning.video import VIDEO_EXTENSIONS

Stretch = tuple[float, float, str]
"""Start, end and name of a phase."""


def between(times: Sequence[float], names: Sequence[str]) -> list[Stretch]:
    """Return the stretches before, between and after times of events, by their names in order."""
    bounds = [0.0, *map(float, times), float("inf")]
    return list(zip(bounds[:-1], bounds[1:], names, strict=True))


@dataclass(frozen=True)
class Annotations:
    """Named stretches of each video, by the video's name."""

    path: Path
    unit: Unit
    named: Mapping[str, Sequence[Stretch]]
    phase_names: Mapping[str, list[str]] = field(default_factory=dict)
    """Names of each action's phases in order; of actions left out the order is that in which they begin."""
    action: Mapping[str, str] = field(default_factory=dict)
    split: Mapping[str, str] = field(default_factory=dict)
    num_frames: Mapping[str, int] = field(default_factory=dict)
    """Frames that belong to the action; what follows them is no content (a frozen tail, say)."""

    @cached_property
    def _by_bare_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for key in self.named:
            found[_bare(key)].append(key)
            folder, slash, file = _bare(key).rpartition("/")
            if slash and (folder == "" or folder.startswith("/") or folder[1:2] == ":"):
                found[file].append(key)  # a whole path, as other programs write it
        return found

    def name_of(self, video: str, action: str) -> str | None:
        """Return the name that a video has here: its own, or ``<action>/<file>``, each with or without its ending.

        Names are compared in one Unicode form. None if there is none.
        """
        bare = _bare(video)
        forms = [canonical(video), bare, f"{action}/{bare.rpartition('/')[2]}"]
        exact = next((form for form in forms if form in self.named), None)
        if exact is not None:
            return exact
        return next((keys[0] for form in forms if len(keys := self._by_bare_name.get(form, [])) == 1), None)

    def warn_of_unmatched(self, used: Collection[str | None], example: str) -> None:
        """Warn of names here that are those of no video; ``example`` is the name of one."""
        left = [name for name in self.named if name not in used]
        if left:
            warn_of_names(self.path, f"labels match no video (videos are named as {example!r})", left)

    def phases_of(self, actions: Mapping[str, str]) -> dict[str, list[str]]:
        """Return the names of each action's phases in order.

        Args:
            actions: action of each video.
        """
        places: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for video, action in actions.items():
            spans = sorted(self.named.get(video, ()))
            for place, (_, _, name) in enumerate(spans):
                places[action][name].append(place / len(spans))
        order = {
            action: [name for _, name in sorted((float(np.mean(at)), name) for name, at in found.items())]
            for action, found in places.items()
        }
        return {**order, **{action: list(names) for action, names in self.phase_names.items()}}

    def spans(self, video: str, names: Sequence[str]) -> PhaseSpans | None:
        """Return the stretches of a video, None if it has none.

        Raises:
            UserError: if a stretch has a name that is not among the phases of its action.
        """
        if video not in self.named:
            return None
        index = {name: number for number, name in enumerate(names)}
        for start, end, name in self.named[video]:
            if name not in index or not start <= end:
                wanted = f"one of {', '.join(names)} that does not end before it starts"
                raise wrong_layout(self.path, f"video {video!r}: {name!r} from {start} to {end}, expected {wanted}")
        return PhaseSpans(tuple((start, end, index[name]) for start, end, name in self.named[video]), self.unit)


def _bare(name: str) -> str:
    """Return a name without the ending of a video, in one Unicode form, with slashes between folders."""
    name = canonical(name if "/" in name else name.replace("\\", "/"))
    base, dot, ending = name.rpartition(".")
    return base if dot and ending.lower() in VIDEO_EXTENSIONS else name
