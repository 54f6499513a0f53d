"""The table of ``tpl bench``, as Markdown and as a picture."""

import statistics
from pathlib import Path
from typing import Any, NamedTuple


class _Column(NamedTuple):
    title: str
    sign: int
    """1: higher is better, -1: lower, 0: neither."""
    digits: int


COLUMNS = {
    "train/cbc": _Column("CBC ↑", 1, 3),
    "test/plp": _Column("PLP ↑", 1, 3),
    "event_spread": _Column("key-event spread ↓", -1, 4),
    "warp_error": _Column("warp error ↓", -1, 4),
    "test/phase_accuracy": _Column("phase accuracy ↑", 1, 3),
    "test/phase_accuracy_raw": _Column("before alignment", 0, 3),
    "test/kendall_tau": _Column("Kendall's τ ↑", 1, 3),
    "test/kendall_tau_raw": _Column("before alignment", 0, 3),
    "seconds/fit": _Column("fit s", 0, 1),
    "seconds/align": _Column("align s", 0, 1),
    "memory_mib": _Column("peak MiB", 0, 0),
}
"""Keys of metrics.json that make columns."""


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and spread (standard deviation over seeds) of each column."""
    failed = [row["failed"] for row in rows if "failed" in row]
    found: dict[str, Any] = {"failed": failed[0]} if failed else {}
    for column in COLUMNS:
        values = [row[column] for row in rows if row.get(column) is not None]
        if values:
            found[column] = statistics.fmean(values)
            found[f"{column}/std"] = statistics.stdev(values) if len(values) > 1 else 0.0
            found[f"{column}/seeds"] = len(values)
    return found


def markdown_table(table: dict[str, dict[str, Any]]) -> str:
    """Return the table, a line per row, best figures in bold; where a row failed, it says why.

    Args:
        table: From the name shown to the row: its figures, and ``features`` and ``objective``.
    """
    names = [f"{name} ({row['failed']})" if "failed" in row else name for name, row in table.items()]
    columns = {"method": names}
    columns |= {key: [row.get(key, "") for row in table.values()] for key in ("features", "objective")}
    titles = [*columns]
    for key, column in COLUMNS.items():
        if any(key in row for row in table.values()):
            titles.append(column.title)
            columns[key] = _cells(list(table.values()), key, column)
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    lines += ["| " + " | ".join(cells) + " |" for cells in zip(*columns.values(), strict=True)]
    return "\n".join(lines) + "\n"


def _cells(rows: list[dict[str, Any]], key: str, column: _Column) -> list[str]:
    """Return a column as it is printed; what looks like the best is bold, also where digits beyond differ."""
    values = [row[key] for row in rows if key in row]
    is_ranked = column.sign != 0 and len(values) > 1
    best = f"{max(values, key=lambda value: column.sign * value):.{column.digits}f}" if is_ranked else None
    cells = []
    for row in rows:
        text = f"{row[key]:.{column.digits}f}" if key in row else "-"
        has_spread = column.sign != 0 and row.get(f"{key}/seeds", 1) > 1
        spread = f" ± {row[f'{key}/std']:.{column.digits}f}" if has_spread else ""
        cells.append((f"**{text}**" if text == best else text) + spread)
    return cells


def draw_table(table: dict[str, dict[str, Any]], source: str, path: Path) -> None:
    """Draw CBC, PLP and key-event spread of each row with their spread over seeds; nothing if none is known."""
    from matplotlib.figure import Figure

    shown = [c for c in ("train/cbc", "test/plp", "event_spread") if any(c in row for row in table.values())]
    if not shown:
        return
    size = (4 * len(shown), 0.32 * len(table) + 1.2)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axis, key in zip(axes, shown, strict=True):
        known = [(i, row[key], row[f"{key}/std"]) for i, row in enumerate(table.values()) if key in row]
        best = max((value for _, value, _ in known), key=lambda value: COLUMNS[key].sign * value)
        for i, value, spread in known:
            color = "#d1495b" if value == best else "#30638e"
            axis.errorbar(value, i, xerr=spread, fmt="o", color=color, markersize=5, capsize=2)
        axis.set_title(COLUMNS[key].title, fontsize=10)
        axis.grid(axis="x", alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(table)), list(table))
    axes[0].invert_yaxis()
    figure.suptitle(source, fontsize=9, color="0.4")
    figure.savefig(path, dpi=120)
