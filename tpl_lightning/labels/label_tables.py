"""Tables of phases or key events: our own layout, and what BORIS and ELAN export."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tpl_lightning.labels.annotations import Annotations, Stretch, between
from tpl_lightning.labels.elan import Found, is_elan_line, read_elan_lines, read_elan_table
from tpl_lightning.labels.spans import Unit
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
_OWN = (("start_s", "end_s", "time_s"), ("start_frame", "end_frame", "frame"))

Reader = Callable[[Path, list[str], list[TableRow]], Iterator[Found]]


def read_label_table(path: Path) -> Annotations:
    """Read a table; the layout is told by the names of its columns.

    - ours: a line per stretch (``video_id``, ``phase``, ``start_s`` and ``end_s``, or ``start_frame`` and
      ``end_frame``), or per event (``video_id``, ``event``, ``time_s`` or ``frame``);
    - BORIS: tabular or aggregated events; videos are those of the media file, or the observation;
    - ELAN: tab-delimited text, with or without a header; the video is that of the file's name.

    Events open phases in videos that have no stretches.

    Raises:
        UserError: if it is none of these, or a line holds something else.
    """
    lines = read_cells(path)
    for place, (_, cells) in enumerate(lines[:_PREAMBLE]):
        columns = [column_name(cell) for cell in cells]
        if reader := _reader(columns):
            rows = table_rows(columns, lines[place + 1 :])
            return _gathered(path, reader(path, columns, rows), columns, rows)
    if lines and is_elan_line(lines[0][1]):
        return _gathered(path, read_elan_lines(path, lines))
    found = ", ".join(sorted(column_name(cell) for cell in lines[0][1] if cell)) if lines else "none"
    raise wrong_layout(
        path,
        "expected the columns video_id, phase, start_s, end_s (or start_frame, end_frame), or video_id, event, time_s "
        f"(or frame), or an export of BORIS or ELAN, but found {found}",
    )


def _gathered(
    path: Path, found: Iterable[Found], columns: Sequence[str] = (), rows: Sequence[TableRow] = ()
) -> Annotations:
    """Gather the stretches and events of each video; a stretch that an event opens has its name."""
    stretches: dict[str, list[Stretch]] = defaultdict(list)
    events: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for video, start, end, name in found:
        if end is None:
            events[video].append((start, name))
        else:
            stretches[video].append((start, end, name))
    for video, own in events.items():
        times, names = zip(*sorted(own), strict=True)
        stretches.setdefault(video, between(times, ["start", *names]))
    action, split = (
        {row["video_id"]: row[name] for row in rows if row.get(name) and "video_id" in row}
        for name in ("action", "split")
    )
    unit: Unit = "frames" if _own_names(columns) == _OWN[1] else "seconds"
    return Annotations(path, unit, stretches, {}, action, split)


def _own_names(columns: Collection[str]) -> tuple[str, str, str] | None:
    """Return the columns of start, end and time of an event of our own layout, in seconds or frames."""
    for start, end, at in _OWN:
        if "video_id" in columns and ({"phase", start, end} <= {*columns} or {"event", at} <= {*columns}):
            return start, end, at
    return None


def _reader(columns: Collection[str]) -> Reader | None:
    if own := _own_names(columns):
        return partial(_own, names=own)
    if {"behavior", "start_(s)", "stop_(s)"} <= {*columns}:
        return _boris_aggregated
    if {"behavior", "time"} <= {*columns} and {"behavior_type", "status"} & {*columns}:
        return _boris_tabular
    if all(any(name.startswith(begin) for name in columns) for begin in ("begin_time", "end_time")):
        return read_elan_table
    return None


def _own(path: Path, columns: list[str], rows: list[TableRow], names: tuple[str, str, str]) -> Iterator[Found]:
    start, end, at = names
    read = read_seconds if names == _OWN[0] else read_number
    for row in rows:
        if not row["video_id"]:
            raise wrong_layout(path, "expected a video_id, but it is empty", row.line)
        if {"phase", start, end} <= {*columns}:
            yield row["video_id"], row.number(path, start, read), row.number(path, end, read), row["phase"]
        else:
            yield row["video_id"], row.number(path, at, read), None, row["event"]


def _boris_video(row: TableRow) -> str:
    """Return the file that an event belongs to, else the observation."""
    return next((row[name] for name in _MEDIA if row.get(name)), "")


def _boris_aggregated(path: Path, columns: list[str], rows: list[TableRow]) -> Iterator[Found]:
    for row in rows:
        is_point = row.get("behavior_type", "").upper() == "POINT"
        end = None if is_point else row.number(path, "stop_(s)")
        yield _boris_video(row), row.number(path, "start_(s)"), end, row["behavior"]


def _boris_tabular(path: Path, columns: list[str], rows: list[TableRow]) -> Iterator[Found]:
    kind = "behavior_type" if "behavior_type" in columns else "status"
    open_since: dict[tuple[str, str, str], tuple[float, int]] = {}
    for row in rows:
        video, time, behavior = _boris_video(row), row.number(path, "time"), row["behavior"]
        key = video, row.get("subject", ""), behavior
        if row[kind].upper() == "START":
            open_since[key] = time, row.line
        elif row[kind].upper() != "STOP":
            yield video, time, None, behavior
        elif key in open_since:
            yield video, open_since.pop(key)[0], time, behavior
        else:
            raise wrong_layout(path, f"{behavior!r} stops, but has not started", row.line)
    for (_, _, behavior), (_, line) in open_since.items():
        raise wrong_layout(path, f"{behavior!r} starts, but does not stop", line)
