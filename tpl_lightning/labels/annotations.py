"""Phases of videos from key events or segments: the JSON layout of GenAI-MVS, CSV, ELAN's .eaf."""

import json
import warnings
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.files import canonical
from tpl_lightning.labels.elan import read_eaf
from tpl_lightning.labels.label_tables import read_label_table
from tpl_lightning.video import VIDEO_EXTENSIONS, VideoClock

__all__ = ["Annotations", "PhaseSpans", "doubt_of", "read_annotations", "spans_of_labels", "warn_of_names"]

Unit = Literal["frames", "seconds", "share"]
_SHOWN = 5  # names that a warning gives
_ROUNDING = 0.002  # seconds


@dataclass(frozen=True)
class PhaseSpans:
    """Stretches of a video, each with the index of its phase.

    Convention:
        A stretch runs from the frame nearest to its start up to, not including, the one nearest to its end. Starts and
        ends are frames of the file, seconds since its first frame, or shares of the video in [0, 1]. Frames in no
        stretch are unlabelled.
    """

    spans: tuple[tuple[float, float, int], ...]
    unit: Unit

    def labels(self, clock: VideoClock, frames: np.ndarray | None = None) -> np.ndarray:
        """Return the phase of each row of a video's embedding.

        Args:
            clock: when each of the T rows is shown.
            frames: (T,) the frame of the file that each row is, as where the video is resampled; None: 0, 1, 2 ...

        Returns:
            Phase of each row, shape (T,), int16, -1 where unlabelled.
        """
        count = clock.num_frames
        labels = np.full(count, -1, dtype=np.int16)
        for start, end, phase in self.spans:
            if self.unit == "seconds":
                first, last = clock.first_after(start), clock.first_after(end)
            else:
                per_unit = count if self.unit == "share" else 1
                first, last = (np.floor(at * per_unit + 0.5) for at in (start, end))
                places = np.arange(count) if self.unit == "share" or frames is None else frames
                first, last = np.searchsorted(places, [first, last])
            labels[first:last] = phase
        return labels


def spans_of_labels(labels: np.ndarray, *, unit: Literal["frames", "share"] = "frames") -> PhaseSpans:
    """Return the stretches of equal label of a label per frame; with ``share`` they fit videos of another length."""
    labels = np.asarray(labels)
    cuts = np.flatnonzero(np.diff(labels)) + 1
    starts, ends = np.concatenate([[0], cuts]), np.concatenate([cuts, [len(labels)]])
    whole = len(labels) if unit == "share" else 1
    spans = [(float(a) / whole, float(b) / whole, int(labels[a])) for a, b in zip(starts, ends, strict=True)]
    return PhaseSpans(tuple(span for span in spans if span[2] >= 0), unit)


@dataclass(frozen=True)
class Annotations:
    """Named stretches of each video, by the video's name."""

    path: Path
    unit: Unit
    named: Mapping[str, Sequence[tuple[float, float, str]]]
    """Start, end and phase name of each stretch."""
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
        names = {
            action: sorted(found, key=lambda name, found=found: (float(np.mean(found[name])), name))  # type: ignore[misc]
            for action, found in places.items()
        }
        return {
            action: list(self.phase_names.get(action, names.get(action, ())))
            for action in dict.fromkeys([*names, *self.phase_names])
        }

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
                raise _wrong(
                    self.path,
                    f"video {video!r} has a stretch {name!r} from {start} to {end}, expected one "
                    f"of {', '.join(names)} that does not end before it starts",
                )
        return PhaseSpans(tuple((start, end, index[name]) for start, end, name in self.named[video]), self.unit)


def _bare(name: str) -> str:
    """Return a name without the ending of a video, in one Unicode form, with slashes between folders."""
    name = canonical(name if "/" in name else name.replace("\\", "/"))
    base, dot, ending = name.rpartition(".")
    return base if dot and ending.lower() in VIDEO_EXTENSIONS else name


def warn_of_names(path: Path | str, what: str, names: Collection[str]) -> None:
    """Warn in one line, with the first names."""
    shown = ", ".join(list(names)[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    warnings.warn(f"{path}: {what}: {shown}", stacklevel=3)


def doubt_of(spans: PhaseSpans, clock: VideoClock, frames: np.ndarray | None = None) -> str:
    """Return what is odd about the stretches of a video, empty if nothing is.

    Args:
        spans: the stretches.
        clock: when each of the T rows is shown, as for :meth:`PhaseSpans.labels`.
        frames: (T,) the frame of the file that each row is; None: 0, 1, 2 ...
    """
    times = {time for start, end, _ in spans.spans for time in (start, end) if 0 < time < float("inf")}
    if spans.unit == "share" or not times:
        return ""
    if spans.unit == "frames":
        places = np.arange(clock.num_frames) if frames is None else frames
        frame = float(np.diff(places).max()) if len(places) > 1 else 1.0
        whole = float(places[-1]) + frame
    else:
        frame = 1.0 / clock.usual_fps
        whole = clock.last_s + frame
    latest = max(times)
    if latest <= whole + 2 * frame:
        return ""
    # One far end may mean "to the end"; of milliseconds all lie far out.
    all_far = len(times) > 1 and min(times) > whole and latest > 20 * whole
    if spans.unit == "seconds" and all_far and latest / 1000 <= 1.5 * whole:
        return "times look like milliseconds, expected seconds"
    return "labels lie past the end of the video"


def read_annotations(path: str | Path) -> Annotations:
    """Read phases or key events.

    - ``.json``: ``phases`` {action: names}, ``clips`` {video: {action, events: frame numbers, num_frames, split}}; the
      frame of the k-th event is the first of phase k + 1.
    - ``.csv``, ``.tsv``, ``.txt``: a table (:func:`read_label_table`): one line per stretch (``video_id``, ``phase``,
      ``start_s`` and ``end_s``, or ``start_frame`` and ``end_frame``, the end not included), or one per key event
      (``video_id``, ``event``, ``time_s`` or ``frame``), or what BORIS or ELAN export.
    - ``.eaf`` (ELAN), or a folder of them, ``<video>.eaf`` or ``<action>/<video>.eaf``: the file's name is the video's;
      the tier ``phases``, or the only one.

    Args:
        path: the file or folder.

    Raises:
        UserError: if it cannot be read, or is inconsistent.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.rglob("*.eaf"))
        if not files:
            raise _wrong(path, "expected .eaf files in this folder, but there are none")
        named = {file.relative_to(path).as_posix()[: -len(".eaf")]: read_eaf(file) for file in files}
        return _checked(Annotations(path, "seconds", named))
    if not path.is_file():
        raise UserError(f"{path}: no such file of annotations; give an existing .json, .csv or .eaf, or leave it out.")
    readers = {".json": _json, ".eaf": _eaf, **dict.fromkeys((".csv", ".tsv", ".tab", ".txt"), _table)}
    if path.suffix.lower() not in readers:
        raise _wrong(path, "expected a name that ends in .json, .csv or .eaf (tables also in .tsv or .txt)")
    return _checked(readers[path.suffix.lower()](path))


def _wrong(path: Path, found: str) -> UserError:
    return UserError(f"{path}: {found}; mend it (data/README.md describes the layouts).")


def _checked(annotations: Annotations) -> Annotations:
    """Bring names into one form and stretches in order; refuse those that overlap.

    Times that programs have rounded may overlap by a little.
    """
    slack = _ROUNDING if annotations.unit == "seconds" else 0.0
    named: dict[str, list[tuple[float, float, str]]] = {}
    for video, spans in annotations.named.items():
        if canonical(video) in named:
            raise _wrong(annotations.path, f"video {video!r} is there twice, with accents in two Unicode forms")
        named[canonical(video)] = found = sorted(set(spans))
        for (start, end, name), (later, until, other) in pairwise(s for s in found if s[0] < s[1]):
            if later < end - slack:
                raise _wrong(
                    annotations.path,
                    f"video {video!r}: {name!r} from {start:g} to {end:g} and {other!r} from {later:g} to {until:g} "
                    "overlap, expected one phase at a time",
                )
    return replace(
        annotations,
        named=named,
        action={canonical(video): action for video, action in annotations.action.items()},
        split={canonical(video): split for video, split in annotations.split.items()},
        num_frames={canonical(video): count for video, count in annotations.num_frames.items()},
    )


def _json(path: Path) -> Annotations:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        phases = {action: [str(name) for name in names] for action, names in content["phases"].items()}
        clips: dict[str, dict[str, Any]] = dict(content["clips"])
        named = {}
        for video, clip in clips.items():
            names, events = phases[clip["action"]], clip["events"]
            if len(events) != len(names) - 1 or sorted(events) != events:
                raise _wrong(path, f"video {video!r}: expected {len(names) - 1} rising events, but found {events}")
            bounds = [0.0, *map(float, events), float("inf")]
            named[video] = list(zip(bounds[:-1], bounds[1:], names, strict=True))
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _wrong(path, f"expected `phases` and `clips` with `action` and `events` ({error!r})") from error
    return Annotations(
        path,
        "frames",
        named,
        phases,
        {video: clip["action"] for video, clip in clips.items()},
        {video: clip["split"] for video, clip in clips.items() if "split" in clip},
        {video: int(clip["num_frames"]) for video, clip in clips.items() if "num_frames" in clip},
    )


def _table(path: Path) -> Annotations:
    table = read_label_table(path)
    unit: Unit = "seconds" if table.in_seconds else "frames"
    return Annotations(path, unit, dict(table.named), {}, table.action, table.split)


def _eaf(path: Path) -> Annotations:
    return Annotations(path, "seconds", {path.stem: read_eaf(path)})
