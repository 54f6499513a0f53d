"""Tables of phases or key events: our own layout, and what BORIS and ELAN export."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tpl_lightning.labels.annotations import Annotations, Stretch, between
from tpl_lightning.labels.elan import is_elan_line, read_elan_lines, read_elan_table
from tpl_lightning.labels.tables import (
    TableRow,
    column_name,
    read_cells,
    read_number,
    read_seconds,
    table_rows,
    wrong_layout,
)

_PREAMBLE = 60  # lines that BORIS may write about an observation before the table begins
_MEDIA = ("media_file_name", "media_file_path", "media_file", "observation_id")


@dataclass
class _Found:
    """What a table holds: stretches of each video, and events, which open phases where a video has nothing else."""

    stretches: dict[str, list[Stretch]] = field(default_factory=lambda: defaultdict(list))
    events: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))

    def named(self) -> dict[str, list[Stretch]]:
        """Return the stretches of each video; one that an event opens is named after it."""
        named = dict(self.stretches)
        for video, events in self.events.items():
            times, names = zip(*sorted(events), strict=True)
            named.setdefault(video, between(times, ["start", *names]))
        return named


def read_label_table(path: Path) -> Annotations:
    """Read a table; the layout is told by the names of its columns.

    - ours: a line per stretch (``video_id``, ``phase``, ``start_s`` and ``end_s``, or ``start_frame`` and
      ``end_frame``), or per event (``video_id``, ``event``, ``time_s`` or ``frame``);
    - BORIS: tabular or aggregated events; videos are those of the media file, or the observation;
    - ELAN: tab-delimited text, with or without a header; the video is that of the file's name.

    Raises:
        UserError: if it is none of these, or a line holds something else.
    """
    rows = read_cells(path)
    for place, (_, cells) in enumerate(rows[:_PREAMBLE]):
        columns = [column_name(cell) for cell in cells]
        reader = _reader(set(columns))
        if reader is not None:
            return reader(path, columns, table_rows(columns, rows[place + 1 :]))
    if rows and is_elan_line(rows[0][1]):
        return read_elan_lines(path, rows)
    found = ", ".join(sorted(filter(None, (column_name(cell) for cell in rows[0][1])))) if rows else "none"
    raise wrong_layout(
        path,
        "expected the columns video_id, phase, start_s, end_s (or start_frame, end_frame), or video_id, event, time_s "
        f"(or frame), or an export of BORIS or ELAN, but found {found}",
    )


def _reader(columns: set[str]) -> "Callable[[Path, list[str], list[TableRow]], Annotations] | None":
    if "video_id" in columns and (
        {"phase", "start_s", "end_s"} <= columns
        or {"phase", "start_frame", "end_frame"} <= columns
        or ("event" in columns and columns & {"time_s", "frame"})
    ):
        return _own
    if {"behavior", "start_(s)", "stop_(s)"} <= columns:
        return _boris_aggregated
    if {"behavior", "time"} <= columns and columns & {"behavior_type", "status"}:
        return _boris_tabular
    if any(name.startswith("begin_time") for name in columns) and any(name.startswith("end_time") for name in columns):
        return read_elan_table
    return None


def _own(path: Path, columns: list[str], rows: list[TableRow]) -> Annotations:
    in_seconds = {"start_s", "end_s"} <= set(columns) or "time_s" in columns
    read = read_seconds if in_seconds else read_number
    start, end, at = ("start_s", "end_s", "time_s") if in_seconds else ("start_frame", "end_frame", "frame")
    found = _Found()
    for row in rows:
        if not row["video_id"]:
            raise wrong_layout(path, "expected a video_id, but it is empty", row.line)
        if {"phase", start, end} <= set(columns):
            stretch = row.number(path, start, read), row.number(path, end, read), row["phase"]
            found.stretches[row["video_id"]].append(stretch)
        else:
            found.events[row["video_id"]].append((row.number(path, at, read), row["event"]))
    action, split = ({r["video_id"]: r[name] for r in rows if r.get(name)} for name in ("action", "split"))
    return Annotations(path, "seconds" if in_seconds else "frames", found.named(), {}, action, split)


def _boris_video(row: TableRow) -> str:
    """Return the file that an event belongs to, else the observation."""
    return next((row[name] for name in _MEDIA if row.get(name)), "")


def _boris_aggregated(path: Path, columns: list[str], rows: list[TableRow]) -> Annotations:
    found = _Found()
    for row in rows:
        video, start = _boris_video(row), row.number(path, "start_(s)")
        if row.get("behavior_type", "").upper() == "POINT":
            found.events[video].append((start, row["behavior"]))
        else:
            found.stretches[video].append((start, row.number(path, "stop_(s)"), row["behavior"]))
    return Annotations(path, "seconds", found.named())


def _boris_tabular(path: Path, columns: list[str], rows: list[TableRow]) -> Annotations:
    found = _Found()
    kind = "behavior_type" if "behavior_type" in columns else "status"
    open_since: dict[tuple[str, str, str], tuple[float, TableRow]] = {}
    for row in rows:
        video, time, what = _boris_video(row), row.number(path, "time"), row[kind].upper()
        key = video, row.get("subject", ""), row["behavior"]
        if what == "START":
            open_since[key] = time, row
        elif what == "STOP":
            if key not in open_since:
                raise wrong_layout(path, f"{row['behavior']!r} stops, but has not started", row.line)
            found.stretches[video].append((open_since.pop(key)[0], time, row["behavior"]))
        else:
            found.events[video].append((time, row["behavior"]))
    for (_, _, behavior), (_, row) in open_since.items():
        raise wrong_layout(path, f"{behavior!r} starts, but does not stop", row.line)
    return Annotations(path, "seconds", found.named())
