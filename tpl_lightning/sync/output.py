"""Files that appear under their name only when they are complete."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from tpl_lightning.errors import UserError

__all__ = ["file_stem", "write_bytes", "write_csv", "write_text"]


def file_stem(name: str) -> str:
    """Return a name without what file systems refuse."""
    return "".join(c if c.isalnum() or c in "-_. " else "_" for c in name).strip(". ") or "_"


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write a file under a temporary name beside it and rename it.

    Raises:
        UserError: If it cannot be written there.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); give another out=PATH.") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def write_text(path: str | Path, content: str) -> Path:
    """Write a UTF-8 text file; see :func:`write_bytes`."""
    return write_bytes(path, content.encode("utf-8"))


def write_csv(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a CSV file with a header; see :func:`write_bytes`."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return write_text(path, buffer.getvalue())
