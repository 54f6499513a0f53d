"""Phases from key events or segments: the JSON layout of GenAI-MVS, tables, ELAN's .eaf."""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from tpl_lightning.errors import UserError
from tpl_lightning.files import canonical
from tpl_lightning.labels.annotations import Annotations, Stretch, between
from tpl_lightning.labels.elan import read_eaf
from tpl_lightning.labels.label_tables import read_label_table
from tpl_lightning.labels.tables import wrong_layout

_ROUNDING = 0.002  # seconds

Value = TypeVar("Value")


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
            raise wrong_layout(path, "expected .eaf files in this folder, but there are none")
        named = {file.relative_to(path).as_posix()[: -len(".eaf")]: read_eaf(file) for file in files}
        return _checked(Annotations(path, "seconds", named))
    if not path.is_file():
        raise UserError(f"{path}: no such file of annotations; give an existing .json, .csv or .eaf, or leave it out.")
    ending = path.suffix.lower()
    if ending == ".eaf":
        return _checked(Annotations(path, "seconds", {path.stem: read_eaf(path)}))
    if ending not in (".json", ".csv", ".tsv", ".tab", ".txt"):
        raise wrong_layout(path, "expected a name that ends in .json, .csv or .eaf (tables also in .tsv or .txt)")
    return _checked(_read_json(path) if ending == ".json" else read_label_table(path))


def _checked(annotations: Annotations) -> Annotations:
    """Bring names into one form and stretches in order; refuse those that overlap.

    Times that programs have rounded may overlap by a little.
    """
    slack = _ROUNDING if annotations.unit == "seconds" else 0.0
    named: dict[str, list[Stretch]] = {}
    for video, spans in annotations.named.items():
        if canonical(video) in named:
            raise wrong_layout(annotations.path, f"video {video!r} is there twice, with accents in two Unicode forms")
        named[canonical(video)] = found = sorted(set(spans))
        for (start, end, name), (later, until, other) in pairwise(s for s in found if s[0] < s[1]):
            if later < end - slack:
                both = f"{name!r} from {start:g} to {end:g} and {other!r} from {later:g} to {until:g}"
                raise wrong_layout(annotations.path, f"video {video!r}: {both} overlap, expected one phase at a time")
    return replace(
        annotations,
        named=named,
        action=_in_one_form(annotations.action),
        split=_in_one_form(annotations.split),
        num_frames=_in_one_form(annotations.num_frames),
    )


def _in_one_form(values: Mapping[str, Value]) -> dict[str, Value]:
    return {canonical(video): value for video, value in values.items()}


def _read_json(path: Path) -> Annotations:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        phases = {action: [str(name) for name in names] for action, names in content["phases"].items()}
        clips: dict[str, dict[str, Any]] = dict(content["clips"])
        named = {}
        for video, clip in clips.items():
            names, events = phases[clip["action"]], clip["events"]
            if len(events) != len(names) - 1 or sorted(events) != events:
                wanted = f"{len(names) - 1} rising events"
                raise wrong_layout(path, f"video {video!r}: expected {wanted}, but found {events}")
            named[video] = between(events, names)
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise wrong_layout(path, f"expected `phases` and `clips` with `action` and `events` ({error!r})") from error
    return Annotations(
        path,
        "frames",
        named,
        phases,
        {video: clip["action"] for video, clip in clips.items()},
        {video: clip["split"] for video, clip in clips.items() if "split" in clip},
        {video: int(clip["num_frames"]) for video, clip in clips.items() if "num_frames" in clip},
    )
