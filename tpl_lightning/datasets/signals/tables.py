"""One CSV or Parquet file per recording: columns are channels, one of them may be the time."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.datasets.signals.recordings import Table, fill_gaps
from tpl_lightning.errors import UserError, first_line
from tpl_lightning.labels import column_name, read_cells, read_seconds

TABLE_ENDINGS = (".csv", ".tsv", ".txt", ".parquet")

_UNITS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "ns": 1e-9}
_TIME = re.compile(rf"(?:times?|t|s|sec|seconds|time_?stamps?|elapsed)(?:[_\[(]+({'|'.join(_UNITS)})[_\])]*)?")
# Seconds since 1970 have ten digits; thirteen, sixteen or nineteen are those of smaller units.
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
    columns = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    times, channels = None, {}
    for title, cells in columns:
        name = column_name(title)
        if times is None and (found := _TIME.fullmatch(name)) is not None:
            times = _times(cells, _UNITS[found[1] or "s"], f"{path}: column {title!r}")
        elif name not in _INDEX and (numbers := _numbers(cells, f"{path}: column {title!r}")) is not None:
            if title in channels:
                raise UserError(f"{path}: two columns {title!r}; rename one.")
            channels[title] = numbers
    if not channels:
        found_names = ", ".join(title for title, _ in columns) or "none"
        raise UserError(f"{path}: expected columns of numbers beside the time, but found {found_names}.")
    values, doubt = np.stack(list(channels.values()), axis=1), ""
    if times is not None:
        kept = np.diff(times, prepend=-np.inf) > 0
        values, times = values[kept], times[kept]
        if len(times) > 1 and np.median(np.diff(times)) >= _SLOW_S:
            doubt = "rows are seconds apart; call the time column time_ms if these are milliseconds"
    filled = fill_gaps(values, list(channels), path, gaps=gaps, times_s=times)
    return Table(tuple(channels), filled, times, doubt=doubt)


def _read_csv(path: Path) -> list[tuple[str, list[Any]]]:
    """Return title and cells of each column; without a header they are numbered."""
    rows = read_cells(path)
    if not rows:
        raise UserError(f"{path}: is empty; expected a header and a row per instant.")
    titles = rows[0][1]
    if any(_number(cell) is None for cell in titles):
        rows = rows[1:]
    else:
        titles = [f"channel {number + 1}" for number in range(len(titles))]
    for line, cells in rows:
        if any(cells[len(titles) :]):
            raise UserError(f"{path}: line {line}: {len(cells)} cells under {len(titles)} columns; mend the line.")
    return [(name, [cells[i] if i < len(cells) else "" for _, cells in rows]) for i, name in enumerate(titles)]


def _number(cell: Any) -> float | None:
    """Return the number in a cell, NaN for a gap, seconds since 1970 for a date; None of words."""
    if isinstance(cell, datetime):
        return cell.timestamp()
    text = str(float(cell) if isinstance(cell, bool) else cell)
    try:
        return float(text if "." in text else text.replace(",", "."))
    except ValueError:
        return np.nan if text.lower() in _GAPS else None


def _numbers(cells: Sequence[Any], where: str) -> np.ndarray | None:
    """Return a column's numbers, NaN for gaps; None where all of it is words, which is a note and no channel.

    Raises:
        UserError: If it has words among numbers.
    """
    found = [_number(cell) for cell in cells]
    numbers = np.array(found, dtype=np.float64)  # NaN of None
    if None not in found:
        return numbers
    if np.isfinite(numbers).any():
        row = found.index(None)
        raise UserError(f"{where}: expected numbers, but row {row + 1} holds {cells[row]!r}; mend or remove it.")
    return None


def _times(cells: Sequence[Any], unit: float, where: str) -> np.ndarray:
    """Return the seconds of a time column, which must be known and never go back."""
    try:
        times = np.array([_seconds(cell) for cell in cells], dtype=np.float64) * unit
    except ValueError as error:
        raise UserError(f"{where}: expected times, but {error}; mend it.") from error
    if not np.isfinite(times).all():
        raise UserError(f"{where}: no time in row {int(np.isfinite(times).argmin()) + 1}; mend or remove the row.")
    size = float(np.median(np.abs(times))) if len(times) else 0.0
    times = times * next((unit for above, unit in _EPOCHS if size > above), 1.0)
    if (back := np.flatnonzero(np.diff(times) < 0)).size:
        before, after = times[back[0]], times[back[0] + 1]
        raise UserError(f"{where}: the time goes back in row {back[0] + 2} (from {before:g} to {after:g}); sort it.")
    return times


def _seconds(cell: Any) -> float:
    """Return the seconds of a number, ``mm:ss.s`` or a date."""
    number = None if isinstance(cell, str) else _number(cell)
    if number is not None:
        return number
    try:
        return read_seconds(str(cell))
    except ValueError:
        return datetime.fromisoformat(str(cell).replace("Z", "+00:00")).timestamp()


def open_parquet(path: Path, wanted: Sequence[str] = ()) -> Any:
    """Read a Parquet file: a PyArrow table of the columns wanted, which must be there, or of all.

    Raises:
        UserError: If PyArrow is missing, or the file cannot be read.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise UserError(f'{path}: PyArrow is needed to read Parquet: pip install "tpl_lightning[signals]".') from error
    try:
        table = parquet.read_table(path, partitioning=None)
    except (ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: expected a Parquet file, but it cannot be read ({first_line(error)}).") from error
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise UserError(f"{path}: expected the columns {', '.join(wanted)}, but {', '.join(missing)} is missing.")
    return table.select(wanted) if wanted else table


def _read_parquet(path: Path) -> list[tuple[str, list[Any]]]:
    """Return title and cells of each column; a column of lists is one for each of their places."""
    result: list[tuple[str, list[Any]]] = []
    for name, cells in open_parquet(path).to_pydict().items():
        widths = {len(cell) for cell in cells if isinstance(cell, list)}
        if len(widths) > 1:
            raise UserError(f"{path}: column {name!r}: lists of several lengths; expected one length.")
        places = [[None if cell is None else cell[k] for cell in cells] for k in range(max(widths, default=0))]
        result += [(f"{name}.{k}", own) for k, own in enumerate(places)] if widths else [(name, cells)]
    return result
