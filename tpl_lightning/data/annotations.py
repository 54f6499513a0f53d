"""Phases of videos from key events or segments: the JSON layout of GenAI-MVS, CSV, ELAN's .eaf."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np

from tpl_lightning.data.tables import read_table
from tpl_lightning.data.video_clock import VideoClock
from tpl_lightning.errors import UserError

__all__ = ["Annotations", "PhaseSpans", "read_annotations", "spans_of_labels"]

Unit = Literal["frames", "seconds", "share"]


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

    def name_of(self, video: str, action: str) -> str | None:
        """Return the name that a video has here: its own, or ``<action>/<file>`` without ending; None if neither."""
        stem = Path(video).stem if "/" in video else video
        return next((name for name in (video, f"{action}/{stem}") if name in self.named), None)

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


def read_annotations(path: str | Path) -> Annotations:
    """Read phases or key events.

    - ``.json``: ``phases`` {action: names}, ``clips`` {video: {action, events: frame numbers, num_frames, split}}; the
      frame of the k-th event is the first of phase k + 1.
    - ``.csv``: one line per stretch (``video_id``, ``phase``, ``start_s`` and ``end_s``, or ``start_frame`` and
      ``end_frame``, the end not included), or one per key event (``video_id``, ``event``, ``time_s`` or ``frame``).
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
        named = {file.relative_to(path).with_suffix("").as_posix(): _eaf(file) for file in files}
        return Annotations(path, "seconds", named)
    if not path.is_file():
        raise UserError(f"{path}: no such file of annotations; give an existing .json, .csv or .eaf, or leave it out.")
    readers = {".json": _json, ".csv": _csv}
    if path.suffix.lower() == ".eaf":
        return Annotations(path, "seconds", {path.stem: _eaf(path)})
    if path.suffix.lower() not in readers:
        raise _wrong(path, "expected a name that ends in .json, .csv or .eaf")
    return readers[path.suffix.lower()](path)


def _wrong(path: Path, found: str) -> UserError:
    return UserError(f"{path}: {found}; mend it (data/README.md describes the layouts).")


def _between_events(events: Sequence[float], names: Sequence[str]) -> list[tuple[float, float, str]]:
    bounds = [0.0, *map(float, events), float("inf")]
    return list(zip(bounds[:-1], bounds[1:], names, strict=True))


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
            named[video] = _between_events(events, names)
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


def _csv(path: Path) -> Annotations:
    columns, rows = read_table(path)
    by_time = {"start_s", "end_s"} <= set(columns) or "time_s" in columns
    at = ("start_s", "end_s", "time_s") if by_time else ("start_frame", "end_frame", "frame")
    segments = {"video_id", "phase", *at[:2]} <= set(columns)
    if not segments and not {"video_id", "event", at[2]} <= set(columns):
        raise _wrong(
            path,
            "expected the columns video_id, phase, start_s, end_s (or start_frame, end_frame), or "
            f"video_id, event, time_s (or frame), but found {', '.join(sorted(columns)) or 'none'}",
        )
    found: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for line, row in enumerate(rows, start=2):
        try:
            if segments:
                found[row["video_id"]].append((float(row[at[0]]), float(row[at[1]]), row["phase"]))
            else:
                found[row["video_id"]].append((float(row[at[2]]), 0.0, row["event"]))
        except (TypeError, ValueError) as error:
            raise _wrong(path, f"line {line}: expected numbers, but found {row}") from error
    if not segments:
        # A phase is named after the event that opens it.
        for video, events in found.items():
            events.sort()
            found[video] = _between_events([e[0] for e in events], ["start", *(e[2] for e in events)])
    actions = {row["video_id"]: row["action"] for row in rows if row.get("action")}
    splits = {row["video_id"]: row["split"] for row in rows if row.get("split")}
    return Annotations(path, "seconds" if by_time else "frames", dict(found), {}, actions, splits)


def _eaf(path: Path) -> list[tuple[float, float, str]]:
    try:
        root = ElementTree.parse(path).getroot()
        slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) / 1000 for slot in root.iter("TIME_SLOT")}
        tiers = {}
        for tier in root.iter("TIER"):
            tiers[tier.attrib["TIER_ID"]] = [
                (
                    slots[a.attrib["TIME_SLOT_REF1"]],
                    slots[a.attrib["TIME_SLOT_REF2"]],
                    (a.findtext("ANNOTATION_VALUE") or "").strip(),
                )
                for a in tier.iter("ALIGNABLE_ANNOTATION")
            ]
    except (ElementTree.ParseError, KeyError, ValueError, OSError) as error:
        raise _wrong(path, f"not a readable ELAN file ({error!r})") from error
    filled = {name: spans for name, spans in tiers.items() if spans}
    chosen = [name for name in filled if name.lower() == "phases"] or list(filled)
    if len(chosen) != 1:
        raise _wrong(path, f"expected one tier named 'phases', or one alone, but found {', '.join(filled) or 'none'}")
    return filled[chosen[0]]
