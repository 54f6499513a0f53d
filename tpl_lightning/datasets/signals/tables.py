"""One CSV or Parquet file per recording: columns are channels, one of them may be the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.datasets.importers.video_tree import find_annotations
from tpl_lightning.datasets.signals.recordings import Recording, fill_gaps, find_recordings, ordered
from tpl_lightning.errors import UserError
from tpl_lightning.labels import column_name, read_cells, read_seconds, warn_of_names

__all__ = ["TABLE_ENDINGS", "Table", "read_parquet", "read_recordings", "read_table_file"]

TABLE_ENDINGS = (".csv", ".tsv", ".txt", ".parquet")

_SECONDS = {"time", "times", "t", "s", "sec", "seconds", "timestamp", "timestamps", "time_stamp", "elapsed"}
_UNITS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "ns": 1e-9}
_EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
_SLOW_S = 5.0  # a usual step above it is likely to be one of milliseconds
_INDEX = {"", "index", "frame", "frame_index", "frame_number", "row", "sample", "unnamed:_0", "__index_level_0__"}
_GAPS = {"", "nan", "na", "n/a", "null", "none", "-", "?", "inf", "-inf"}


@dataclass(frozen=True)
class Table:
    """Numbers by the names of columns; what is missing is NaN."""

    columns: tuple[str, ...]
    values: np.ndarray
    """(T, C)."""
    times_s: np.ndarray | None


def read_recordings(root: Path, annotations: Path | None, *, gaps: str, fps: float | None) -> list[Recording]:
    """Read ``<root>/<action>/<name>.csv`` (or .tsv, .txt, .parquet).

    Args:
        root: The folder.
        annotations: Of phases; it is no recording.
        gaps: ``interpolate`` or ``refuse``.
        fps: Rows per second of tables without a time column.

    Raises:
        UserError: If a table cannot be read, has no times and no rate is given, or a time goes back.
    """
    result = []
    slow = []
    for file in find_recordings(root, TABLE_ENDINGS, leave=[annotations, find_annotations(root)]):
        table = read_table_file(file.path)
        if table.times_s is None and fps is None:
            raise UserError(
                f"{file.path}: expected a time column (time_s, time_ms, timestamp ...), but found "
                f"{', '.join(table.columns[:5])}; name it so, or say the rows per second with fps=NUMBER."
            )
        values, times = table.values, table.times_s
        if times is not None:
            values, times = _in_order(values, times, file.path)
            if len(times) > 1 and np.median(np.diff(times)) >= _SLOW_S:
                slow.append(file.video_id)
        values = fill_gaps(values, table.columns, file.path, gaps=gaps, times_s=times)
        result.append(Recording(file.video_id, file.action, file.path, values, table.columns, times_s=times))
    if slow:
        warn_of_names(root, "rows are seconds apart; call the time column time_ms if these are milliseconds", slow)
    return ordered(result)


def read_table_file(path: Path) -> Table:
    """Read a table of numbers.

    Raises:
        UserError: If it holds none, or text among them.
    """
    columns, cells = _read_parquet_cells(path) if path.suffix.lower() == ".parquet" else _read_csv_cells(path)
    names = [column_name(name) for name in columns]
    clock = next((i for i, name in enumerate(names) if _unit(name) is not None), None)
    times = None if clock is None else _times(cells[clock], _unit(names[clock]) or 1.0, path, columns[clock])
    if times is not None and len(times):
        # Seconds since 1970 have ten digits; thirteen, sixteen or nineteen are those of smaller units.
        size = float(np.median(np.abs(times)))
        times = times * next((unit for above, unit in _EPOCHS if size > above), 1.0)
    kept: dict[str, np.ndarray] = {}
    for i, name in enumerate(names):
        if i == clock or name in _INDEX:
            continue
        numbers = cells[i] if isinstance(cells[i], np.ndarray) else _numbers(cells[i], path, columns[i])
        if numbers is None:
            continue  # words throughout: a note, not a channel
        if columns[i] in kept:
            raise UserError(f"{path}: two columns {columns[i]!r}; rename one.")
        kept[columns[i]] = numbers
    if not kept:
        raise UserError(
            f"{path}: expected columns of numbers beside the time, but found {', '.join(columns) or 'none'}."
        )
    return Table(tuple(kept), np.stack(list(kept.values()), axis=1), times)


def _unit(name: str) -> float | None:
    """Return the seconds of a unit of a time column; None of another column."""
    bare = name.replace("[", "_").replace("(", "_").replace("]", "").replace(")", "")
    words = [word for word in bare.split("_") if word]
    if bare in _SECONDS:
        return 1.0
    if len(words) > 1 and words[-1] in _UNITS and "_".join(words[:-1]) in _SECONDS:
        return _UNITS[words[-1]]
    return None


def _read_csv_cells(path: Path) -> tuple[list[str], list[Any]]:
    rows = read_cells(path)
    if not rows:
        raise UserError(f"{path}: is empty; expected a header and a row per instant.")
    first = rows[0][1]
    has_header = any(_number(cell) is None and cell.lower() not in _GAPS for cell in first)
    columns = first if has_header else [f"channel {number + 1}" for number in range(len(first))]
    body = rows[has_header:]
    for line, cells in body:
        if len(cells) != len(columns) and any(cells[len(columns) :]):
            raise UserError(f"{path}: line {line}: {len(cells)} cells under {len(columns)} columns; mend the line.")
    wide = [[cells[i] if i < len(cells) else "" for _, cells in body] for i in range(len(columns))]
    return list(columns), wide


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ".") if "." not in text else text)
    except ValueError:
        return None


def _numbers(cells: Sequence[str], path: Path, column: str) -> np.ndarray | None:
    """Return a column's numbers, NaN for gaps; None where all of it is words.

    Raises:
        UserError: If it has words among numbers.
    """
    values = np.full(len(cells), np.nan)
    words = []
    for row, text in enumerate(cells):
        number = _number(text)
        if number is not None:
            values[row] = number
        elif text.lower() not in _GAPS:
            words.append(row)
    if words and np.isfinite(values).any():
        raise UserError(
            f"{path}: column {column!r}: expected numbers, but row {words[0] + 1} holds {cells[words[0]]!r}; mend or "
            "remove it."
        )
    return None if words else values


def _times(cells: Any, unit: float, path: Path, column: str) -> np.ndarray:
    if isinstance(cells, np.ndarray):
        times = cells * unit
    else:
        try:
            times = np.array([_seconds(text) for text in cells]) * unit
        except ValueError as error:
            raise UserError(f"{path}: column {column!r}: expected times, but {error}; mend it.") from error
    if not np.isfinite(times).all():
        row = int((~np.isfinite(times)).argmax())
        raise UserError(f"{path}: column {column!r}: no time in row {row + 1}; mend or remove the row.")
    return np.asarray(times, dtype=np.float64)


def _seconds(text: str) -> float:
    try:
        return read_seconds(text)
    except ValueError:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _in_order(values: np.ndarray, times: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return rows at rising times: of several at one time the first."""
    steps = np.diff(times)
    if (steps < 0).any():
        row = int((steps < 0).argmax()) + 2
        raise UserError(
            f"{path}: the time goes back in row {row} (from {times[row - 2]:g} to {times[row - 1]:g}); sort it."
        )
    kept = np.concatenate([[True], steps > 0]) if len(times) else np.zeros(0, bool)
    return values[kept], times[kept]


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """Read a Parquet file; columns of lists become arrays of two axes, others of one.

    Raises:
        UserError: If PyArrow is missing, or the file cannot be read.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise UserError(f'{path}: PyArrow is needed to read Parquet: pip install "tpl_lightning[signals]".') from error
    try:
        table = parquet.read_table(path, columns=None if columns is None else list(columns), partitioning=None)
    except (ArrowException, OSError, ValueError) as error:
        first = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"{path}: expected a Parquet file, but it cannot be read ({first}).") from error
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _read_parquet_cells(path: Path) -> tuple[list[str], list[Any]]:
    names: list[str] = []
    cells: list[Any] = []
    for name, values in read_parquet(path).items():
        kinds = {type(value) for value in values if value is not None}
        if kinds <= {int, float, bool} and kinds:
            names, cells = [*names, name], [*cells, np.array([np.nan if v is None else float(v) for v in values])]
        elif kinds == {list}:
            lists = [value for value in values if value is not None]
            width = len(lists[0])
            if any(len(value) != width for value in lists):
                raise UserError(f"{path}: column {name!r}: lists of several lengths; expected one length.")
            blank = [np.nan] * width
            rows = np.array([blank if v is None else v for v in values], dtype=np.float64)
            names += [f"{name}.{number}" for number in range(width)]
            cells += list(rows.T)
        elif kinds and all(hasattr(value, "timestamp") for value in values if value is not None):
            names, cells = [*names, name], [*cells, np.array([np.nan if v is None else v.timestamp() for v in values])]
        else:
            names, cells = [*names, name], [*cells, ["" if v is None else str(v) for v in values]]
    return names, cells
