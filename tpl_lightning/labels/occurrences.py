"""Occurrences of actions in a long recording, found or true, and the table that holds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs
from tpl_lightning.labels.tables import read_table

OCCURRENCE_COLUMNS = ("start_s", "end_s", "action", "score", "phase_starts_s")


@dataclass(frozen=True)
class Occurrence:
    """One occurrence of an action.

    Attributes:
        start_s: Seconds from the first frame of the recording to its first one.
        end_s: To where its last frame ends.
        action: Name.
        score: How sure it is, in [0, 1].
        phase_starts_s: When each of its phases begins, empty where the action has none.
    """

    start_s: float
    end_s: float
    action: str
    score: float
    phase_starts_s: tuple[float, ...] = ()


def write_occurrences(path: Path, occurrences: Sequence[Occurrence], outputs: Outputs) -> Path:
    """Write a table of occurrences: a header alone where there are none."""
    rows = []
    for found in occurrences:
        phases = ";".join(f"{second:.3f}" for second in found.phase_starts_s)
        rows.append((f"{found.start_s:.3f}", f"{found.end_s:.3f}", found.action, f"{found.score:.3f}", phases))
    return outputs.write_csv(path, OCCURRENCE_COLUMNS, rows)


def read_occurrences(path: Path) -> list[Occurrence]:
    """Read such a table.

    Raises:
        UserError: If it cannot be read, lacks a column, or holds something else than numbers.
    """
    found = []
    columns, rows = read_table(path)
    missing = [name for name in OCCURRENCE_COLUMNS[:3] if name not in columns]
    if missing:
        raise UserError(f"{path}: expected a column {missing[0]!r}; there are: {', '.join(columns)}.")
    for row in rows:
        try:
            phases = tuple(float(part) for part in row.get("phase_starts_s", "").split(";") if part)
            score = float(row.get("score") or 1.0)
            found.append(Occurrence(float(row["start_s"]), float(row["end_s"]), row["action"], score, phases))
        except ValueError as error:
            raise UserError(f"{path}, line {row.line}: expected numbers ({error}).") from error
    return found
