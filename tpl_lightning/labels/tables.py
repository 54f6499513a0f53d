"""Tables that people write by hand, with a spreadsheet or another program: CSV, tabs or semicolons, any Unicode."""

import codecs
import csv
import io
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tpl_lightning.errors import UserError

_DELIMITERS = "\t;,|"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class TableRow(dict[str, str]):
    """A line of a table by the names of the columns; ``line`` is its number in the file, from 1."""

    def __init__(self, values: Mapping[str, str], line: int) -> None:
        """Keep both."""
        super().__init__(values)
        self.line = line

    def number(self, path: Path, column: str, read: "Callable[[str], float] | None" = None) -> float:
        """Return the number in a column, seconds unless ``read`` says otherwise.

        Raises:
            UserError: if it holds none.
        """
        try:
            return (read or read_seconds)(self[column])
        except ValueError as error:
            why = f"expected numbers, but found {column} = {self[column]!r}"
            raise wrong_layout(path, why, self.line) from error


def wrong_layout(path: Path, why: str, line: int = 0) -> UserError:
    """Return the error that says what is wrong in a file of labels, and in which line, if in one."""
    place = f"line {line}: " if line else ""
    return UserError(f"{path}: {place}{why}; mend it (data/README.md describes the layouts).")


def _text(path: Path) -> str:
    content = path.read_bytes()
    for mark, name in _BOMS:
        if content.startswith(mark):
            return content.decode(name)
    if b"\0" in content[:2]:  # UTF-16 without a mark: every other byte of plain letters is zero
        return content.decode("utf-16-be" if content[:1] == b"\0" else "utf-16-le")
    return content.decode()


def read_cells(path: Path) -> list[tuple[int, list[str]]]:
    """Return the number of each line that is not empty, and its cells without blanks around them.

    Raises:
        UserError: if it cannot be read, or is no text in UTF-8 or UTF-16.
    """
    try:
        text = _text(path)
        first, _, rest = text.partition("\n")
        skipped = 0
        if first.strip().lower().startswith("sep="):  # Excel's way to say the delimiter
            delimiter, text, skipped = first.strip()[4:5] or ",", rest, 1
        else:
            header = next((line for line in text.splitlines() if line.strip()), "")
            delimiter = max(_DELIMITERS, key=lambda mark: (header.count(mark), mark == ","))
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows, begins = [], 1 + skipped
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((begins, [" ".join(cell.split()) for cell in cells]))
            begins = reader.line_num + 1 + skipped
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: expected a CSV file in UTF-8, but {error}; save it anew.") from error
    return rows


def column_name(text: str) -> str:
    """Return the name of a column as programs and people write it differently: in lower case, _ for blanks."""
    return "_".join(text.lower().split())


def table_rows(columns: list[str], rows: list[tuple[int, list[str]]]) -> list[TableRow]:
    """Return rows by the names of the columns; missing cells are empty, cells beyond the header left out."""
    return [
        TableRow({name: cells[i] if i < len(cells) else "" for i, name in enumerate(columns) if name}, line)
        for line, cells in rows
    ]


def read_table(path: Path) -> tuple[list[str], list[TableRow]]:
    """Read a table with a header; commas, semicolons or tabs between the cells.

    Returns:
        Names of the columns, and a dictionary per line that is not empty.

    Raises:
        UserError: as :func:`read_cells`.
    """
    rows = read_cells(path)
    columns = [column_name(name) for name in rows[0][1]] if rows else []
    return [name for name in columns if name], table_rows(columns, rows[1:])


def read_number(text: str) -> float:
    """Return a finite number, written with a decimal point or comma.

    Raises:
        ValueError: if it is none.
    """
    if "," in text:
        # Of both marks the last one is the decimal's.
        text = text.replace(",", "") if text.rfind(".") > text.rfind(",") else text.replace(".", "").replace(",", ".")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


def read_seconds(text: str) -> float:
    """Return seconds of a number, or of ``mm:ss.s`` or ``hh:mm:ss.s``.

    Raises:
        ValueError: if it is none of these.
    """
    found = re.fullmatch(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d*)?)", text.strip())
    if found is None:
        return read_number(text)
    hours, minutes, seconds = int(found[1] or 0), int(found[2]), read_number(found[3])
    if seconds >= 60 or (found[1] and minutes >= 60):
        raise ValueError(f"{text} is no time")
    return 3600 * hours + 60 * minutes + seconds


def read_fps(text: str, path: Path, line: int) -> float:
    """Return the frame rate that a line of a table states.

    Raises:
        UserError: if it is no positive number.
    """
    try:
        fps = read_number(text)
    except ValueError:
        fps = math.nan
    if not fps > 0:
        raise UserError(f"{path}: line {line}: expected `fps` to be a positive number, but got {text!r}.")
    return fps
