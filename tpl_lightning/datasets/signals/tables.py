"""One CSV or Parquet file per recording: columns are channels, one of them may be the time."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.datasets.signals.recordings import Table, fill_gaps
from tpl_lightning.errors import UserError
from tpl_lightning.labels import column_name, read_cells, read_seconds

TABLE_ENDINGS = (".csv", ".tsv", ".txt", ".parquet")

_SECONDS = {"time", "times", "t", "s", "sec", "seconds", "timestamp", "timestamps", "time_stamp", "elapsed"}
_UNITS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "ns": 1e-9}
_EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
_SLOW_S = 5.0  # a usual step above it is likely to be one of milliseconds
_INDEX = {"", "index", "frame", "frame_index", "frame_number", "row", "sample", "unnamed:_0", "__index_level_0__"}
_GAPS = {"", "nan", "na", "n/a", "null", "none", "-", "?", "inf", "-inf"}


def read_channels(path: Path, gaps: str) -> Table:
    """Read a table of numbers; of several rows at one time the first.

    Args:
        path: The file.
        gaps: ``interpolate`` or ``refuse``.

    Raises:
        UserError: If it holds no numbers, or text among them, or a time goes back.
    """
    cells = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    times, channels = None, {}
    for title, column in cells:
        name = column_name(title)
        if times is None and (unit := _unit(name)) is not None:
            times = _times(column, unit, path, title)
        elif name not in _INDEX and (numbers := _numbers(column, path, title)) is not None:
            if title in channels:
                raise UserError(f"{path}: two columns {title!r}; rename one.")
            channels[title] = numbers
    if not channels:
        found = ", ".join(title for title, _ in cells) or "none"
        raise UserError(f"{path}: expected columns of numbers beside the time, but found {found}.")
    values, doubt = np.stack(list(channels.values()), axis=1), ""
    if times is not None:
        kept = np.diff(times, prepend=-np.inf) > 0
        values, times = values[kept], times[kept]
        if len(times) > 1 and np.median(np.diff(times)) >= _SLOW_S:
            doubt = "rows are seconds apart; call the time column time_ms if these are milliseconds"
    filled = fill_gaps(values, list(channels), path, gaps=gaps, times_s=times)
    return Table(tuple(channels), filled, times, doubt=doubt)


def _unit(name: str) -> float | None:
    """Return the seconds of a unit of a time column; None of another column."""
    bare = name.replace("[", "_").replace("(", "_").replace("]", "").replace(")", "")
    words = [word for word in bare.split("_") if word]
    if bare in _SECONDS:
        return 1.0
    if len(words) > 1 and "_".join(words[:-1]) in _SECONDS:
        return _UNITS.get(words[-1])
    return None


def _read_csv(path: Path) -> list[tuple[str, list[Any]]]:
    rows = read_cells(path)
    if not rows:
        raise UserError(f"{path}: is empty; expected a header and a row per instant.")
    first = rows[0][1]
    has_header = any(_number(cell) is None for cell in first)
    columns = first if has_header else [f"channel {number + 1}" for number in range(len(first))]
    body = rows[has_header:]
    for line, cells in body:
        if any(cells[len(columns) :]):
            raise UserError(f"{path}: line {line}: {len(cells)} cells under {len(columns)} columns; mend the line.")
    return [(name, [cells[i] if i < len(cells) else "" for _, cells in body]) for i, name in enumerate(columns)]


def _number(cell: Any) -> float | None:
    """Return the number in a cell, NaN for a gap, seconds since 1970 for a date; None of words."""
    if isinstance(cell, datetime):
        return cell.timestamp()
    if isinstance(cell, bool):
        return float(cell)
    text = str(cell)
    try:
        return float(text.replace(",", ".") if "." not in text else text)
    except ValueError:
        return np.nan if text.lower() in _GAPS else None


def _numbers(cells: Sequence[Any], path: Path, column: str) -> np.ndarray | None:
    """Return a column's numbers, NaN for gaps; None where all of it is words, which is a note and no channel.

    Raises:
        UserError: If it has words among numbers.
    """
    found = [_number(cell) for cell in cells]
    words = [row for row, number in enumerate(found) if number is None]
    if not words:
        return np.array(found, dtype=np.float64)
    if any(number is not None and np.isfinite(number) for number in found):
        raise UserError(
            f"{path}: column {column!r}: expected numbers, but row {words[0] + 1} holds {cells[words[0]]!r}; mend or "
            "remove it."
        )
    return None


def _times(cells: Sequence[Any], unit: float, path: Path, column: str) -> np.ndarray:
    """Return the seconds of a time column, which must be known and never go back."""
    try:
        times = np.array([_seconds(cell) for cell in cells], dtype=np.float64) * unit
    except ValueError as error:
        raise UserError(f"{path}: column {column!r}: expected times, but {error}; mend it.") from error
    if not np.isfinite(times).all():
        row = int((~np.isfinite(times)).argmax())
        raise UserError(f"{path}: column {column!r}: no time in row {row + 1}; mend or remove the row.")
    # Seconds since 1970 have ten digits; thirteen, sixteen or nineteen are those of smaller units.
    size = float(np.median(np.abs(times))) if len(times) else 0.0
    times = times * next((unit for above, unit in _EPOCHS if size > above), 1.0)
    if (back := np.flatnonzero(np.diff(times) < 0)).size:
        row = int(back[0]) + 2
        raise UserError(
            f"{path}: the time goes back in row {row} (from {times[row - 2]:g} to {times[row - 1]:g}); sort it."
        )
    return times


def _seconds(cell: Any) -> float:
    number = None if isinstance(cell, str) else _number(cell)
    if number is not None:
        return number
    try:
        return read_seconds(str(cell))
    except ValueError:
        return datetime.fromisoformat(str(cell).replace("Z", "+00:00")).timestamp()


def open_parquet(path: Path) -> Any:
    """Read a Parquet file: a PyArrow table.

    Raises:
        UserError: If PyArrow is missing, or the file cannot be read.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise UserError(f'{path}: PyArrow is needed to read Parquet: pip install "tpl_lightning[signals]".') from error
    try:
        return parquet.read_table(path, partitioning=None)
    except (ArrowException, OSError, ValueError) as error:
        first = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"{path}: expected a Parquet file, but it cannot be read ({first}).") from error


def _read_parquet(path: Path) -> list[tuple[str, list[Any]]]:
    """Return the cells of each column; a column of lists is one for each of their places."""
    result: list[tuple[str, list[Any]]] = []
    for name, cells in open_parquet(path).to_pydict().items():
        widths = {len(cell) for cell in cells if isinstance(cell, list)}
        if not widths:
            result.append((name, cells))
            continue
        if len(widths) > 1:
            raise UserError(f"{path}: column {name!r}: lists of several lengths; expected one length.")
        for place in range(widths.pop()):
            result.append((f"{name}.{place}", [None if cell is None else cell[place] for cell in cells]))
    return result
