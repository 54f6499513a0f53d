"""CSV tables that people write by hand or with a spreadsheet."""

import csv
import io
import math
from pathlib import Path

from tpl_lightning.errors import UserError

__all__ = ["read_fps", "read_table"]


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Read a CSV file with a header; some spreadsheets put semicolons in place of commas.

    Returns:
        Names of the columns, and a dictionary per line; missing fields are empty, fields beyond the header left out.

    Raises:
        UserError: if it cannot be read, or is no CSV file in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        header = text.partition("\n")[0]
        delimiter = ";" if ";" in header and "," not in header else ","
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="", restval="")
        columns = [name for name in reader.fieldnames or () if name]
        rows = [{name: (row[name] or "").strip() for name in columns} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path}: expected a CSV file in UTF-8, but it cannot be read ({error}); save it anew."
        ) from error
    return columns, rows


def read_fps(text: str, path: Path, line: int) -> float:
    """Return the frame rate that a line of a table states.

    Raises:
        UserError: if it is no positive number.
    """
    try:
        fps = float(text)
    except ValueError:
        fps = math.nan
    if not 0 < fps < math.inf:
        raise UserError(f"{path}: line {line}: expected `fps` to be a positive number, but got {text!r}.")
    return fps
