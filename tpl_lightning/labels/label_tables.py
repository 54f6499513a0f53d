"""Tables of phases or key events: our own layout, and what BORIS and ELAN export."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tpl_lightning.errors import UserError
from tpl_lightning.labels.tables import TableRow, column_name, read_cells, read_number, read_seconds, table_rows

__all__ = ["LabelTable", "between_events", "read_label_table"]

Stretch = tuple[float, float, str]

_PREAMBLE = 60  # lines that BORIS may write about an observation before the table begins
_MEDIA = ("media_file_name", "media_file_path", "media_file", "observation_id")


@dataclass
class LabelTable:
    """Stretches of each video, in seconds or frames of its file; and its action and split where the table says them."""

    in_seconds: bool = True
    named: dict[str, list[Stretch]] = field(default_factory=lambda: defaultdict(list))
    action: dict[str, str] = field(default_factory=dict)
    split: dict[str, str] = field(default_factory=dict)


def between_events(events: list[tuple[float, str]]) -> list[Stretch]:
    """Return the stretches between events; each is named after the event that opens it."""
    events = sorted(events)
    bounds = [0.0, *(time for time, _ in events), float("inf")]
    return list(zip(bounds[:-1], bounds[1:], ["start", *(name for _, name in events)], strict=True))


def read_label_table(path: Path) -> LabelTable:
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
    if rows and _elan_times(rows[0][1]) is not None:
        return _bare_elan(path, rows)
    found = ", ".join(sorted(filter(None, (column_name(cell) for cell in rows[0][1])))) if rows else "none"
    raise UserError(
        f"{path}: expected the columns video_id, phase, start_s, end_s (or start_frame, end_frame), or video_id, "
        f"event, time_s (or frame), or an export of BORIS or ELAN, but found {found}; mend it "
        "(data/README.md describes the layouts)."
    )


def _reader(columns: set[str]) -> "Callable[[Path, list[str], list[TableRow]], LabelTable] | None":
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
        return _elan
    return None


def _wrong(path: Path, row: TableRow, why: str) -> UserError:
    return UserError(f"{path}: line {row.line}: {why}; mend it (data/README.md describes the layouts).")


def _number(path: Path, row: TableRow, column: str, read: Callable[[str], float] = read_seconds) -> float:
    try:
        return read(row[column])
    except ValueError as error:
        raise _wrong(path, row, f"expected numbers, but found {column} = {row[column]!r}") from error


def _own(path: Path, columns: list[str], rows: list[TableRow]) -> LabelTable:
    known = set(columns)
    table = LabelTable({"start_s", "end_s"} <= known or "time_s" in known)
    read = read_seconds if table.in_seconds else read_number
    start, end, at = ("start_s", "end_s", "time_s") if table.in_seconds else ("start_frame", "end_frame", "frame")
    events: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for row in rows:
        video = row["video_id"]
        if not video:
            raise _wrong(path, row, "expected a video_id, but it is empty")
        if "phase" in known and {start, end} <= known:
            stretch = _number(path, row, start, read), _number(path, row, end, read), row["phase"]
            table.named[video].append(stretch)
        else:
            events[video].append((_number(path, row, at, read), row["event"]))
        table.action |= {video: row["action"]} if row.get("action") else {}
        table.split |= {video: row["split"]} if row.get("split") else {}
    table.named |= {video: between_events(found) for video, found in events.items()}
    return table


def _boris_video(row: TableRow) -> str:
    """Return the file that an event belongs to, else the observation."""
    return next((row[name] for name in _MEDIA if row.get(name)), "")


def _boris_aggregated(path: Path, columns: list[str], rows: list[TableRow]) -> LabelTable:
    table, events = LabelTable(), defaultdict(list)
    for row in rows:
        start = _number(path, row, "start_(s)")
        if row.get("behavior_type", "").upper() == "POINT":
            events[_boris_video(row)].append((start, row["behavior"]))
        else:
            table.named[_boris_video(row)].append((start, _number(path, row, "stop_(s)"), row["behavior"]))
    return _with_points(table, events)


def _boris_tabular(path: Path, columns: list[str], rows: list[TableRow]) -> LabelTable:
    table, events = LabelTable(), defaultdict(list)
    kind = "behavior_type" if "behavior_type" in columns else "status"
    open_since: dict[tuple[str, str, str], tuple[float, TableRow]] = {}
    for row in rows:
        video, time, what = _boris_video(row), _number(path, row, "time"), row[kind].upper()
        key = video, row.get("subject", ""), row["behavior"]
        if what == "START":
            open_since[key] = time, row
        elif what == "STOP":
            if key not in open_since:
                raise _wrong(path, row, f"{row['behavior']!r} stops, but has not started")
            table.named[video].append((open_since.pop(key)[0], time, row["behavior"]))
        else:
            events[video].append((time, row["behavior"]))
    for (_, _, behavior), (_, row) in open_since.items():
        raise _wrong(path, row, f"{behavior!r} starts, but does not stop")
    return _with_points(table, events)


def _with_points(table: LabelTable, events: dict[str, list[tuple[float, str]]]) -> LabelTable:
    """Take point events for what opens phases, in videos that have nothing else."""
    for video, found in events.items():
        if video not in table.named:
            table.named[video] = between_events(found)
    return table


def _elan(path: Path, columns: list[str], rows: list[TableRow]) -> LabelTable:
    """Read an export with a header: a column per tier, or one of the annotations."""
    table = LabelTable()
    begin, end = _elan_column(columns, "begin_time"), _elan_column(columns, "end_time")
    own = ("begin_time", "end_time", "duration", "tier", "participant", "annotator", "file")
    tiers = [name for name in columns if name and not name.startswith(own)]
    chosen = [name for name in tiers if name == "phases"] or tiers
    if len(chosen) != 1:
        raise UserError(f"{path}: expected one tier named 'phases', or one alone, but found {', '.join(tiers)}.")
    for row in _one_tier(path, rows, next((name for name in columns if name in ("tier", "tier_name")), None)):
        if not row[chosen[0]]:
            continue  # another tier's line
        start, stop = (_elan_seconds(path, row, name) for name in (begin, end))
        file = next((row[name] for name in columns if name.startswith("file") and row[name]), "")
        table.named[_eaf_name(file) or path.stem].append((start, stop, row[chosen[0]]))
    return table


def _one_tier(path: Path, rows: list[TableRow], column: str | None) -> list[TableRow]:
    """Return the lines of the tier ``phases``, or of the only one, where a column names tiers."""
    if column is None:
        return rows
    tiers = list(dict.fromkeys(row[column] for row in rows))
    chosen = [name for name in tiers if name.lower() == "phases"] or tiers
    if len(chosen) > 1:
        raise UserError(f"{path}: expected one tier named 'phases', or one alone, but found {', '.join(tiers)}.")
    return [row for row in rows if row[column] in chosen]


def _elan_column(columns: list[str], begins: str) -> str:
    """Return the most exact of the columns in which ELAN writes a time."""
    found = [name for name in columns if name.startswith(begins)]
    order = ("ss.msec", "hh:mm:ss.ms", "msec")
    return min(found, key=lambda name: next((k for k, end in enumerate(order) if name.endswith(f"_{end}")), 3))


def _elan_seconds(path: Path, row: TableRow, column: str) -> float:
    return _number(path, row, column) / (1000 if column.endswith("_msec") else 1)


def _eaf_name(file: str) -> str:
    name = file.replace("\\", "/").rpartition("/")[2]
    return name[: -len(".eaf")] if name.lower().endswith(".eaf") else name


def _elan_times(cells: list[str]) -> tuple[int, int, int] | None:
    """Return the places of begin, end and value in a line without header: tier, participant, times, value."""
    timed = []
    for cell in cells:
        try:
            timed.append(bool(cell) and read_seconds(cell) >= 0)
        except ValueError:
            timed.append(False)
    first = next((place for place in (1, 2) if place < len(cells) and timed[place]), None)
    if first is None:
        return None
    after = next((place for place in range(first, len(cells)) if not timed[place]), len(cells))
    for parts in (3, 2):  # begin, end and duration, or without the latter; each in up to three units
        width, rest = divmod(after - first, parts)
        if rest == 0 and width and after < len(cells):
            return first, first + width, after
    return None


def _bare_seconds(cell: str) -> float:
    return read_seconds(cell) / (1 if ":" in cell or "." in cell or "," in cell else 1000)


def _bare_elan(path: Path, rows: list[tuple[int, list[str]]]) -> LabelTable:
    """Read an export without header: tier, participant, begin, end, duration, value, and maybe the file."""
    tiers: dict[str, LabelTable] = {}
    for line, cells in rows:
        places = _elan_times(cells)
        if places is None:
            raise _wrong(path, TableRow({}, line), f"expected tier, begin, end and value, but found {cells}")
        begin, end, value = places
        file = _eaf_name(cells[-1]) if cells[-1].lower().endswith(".eaf") else ""
        table = tiers.setdefault(cells[0], LabelTable())
        table.named[file or path.stem].append((_bare_seconds(cells[begin]), _bare_seconds(cells[end]), cells[value]))
    chosen = [name for name in tiers if name.lower() == "phases"] or list(tiers)
    if len(chosen) != 1:
        raise UserError(f"{path}: expected one tier named 'phases', or one alone, but found {', '.join(tiers)}.")
    return tiers[chosen[0]]
