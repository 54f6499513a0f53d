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


def _best(table: dict[str, dict[str, Any]], shown: list[str]) -> dict[str, str]:
    """Return the best figure of each column as it is printed, so that what looks alike is bold alike."""
    best = {}
    for column in shown:
        _, sign, digits = COLUMNS[column]
        values = [float(row[column]) for row in table.values() if column in row]
        if sign and len(values) > 1:
            best[column] = f"{max(values) if sign > 0 else min(values):.{digits}f}"
    return best


def markdown_table(table: dict[str, dict[str, Any]]) -> str:
    """Return the table, a line per row, best figures in bold; where a row failed, it says why.

    Args:
        table: From the name shown to the row: its figures, and ``features`` and ``objective``.
    """
    shown = [c for c in COLUMNS if any(c in row for row in table.values())]
    best = _best(table, shown)
    titles = ["method", "features", "objective", *(COLUMNS[c].title for c in shown)]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for name, row in table.items():
        note = f" ({row['failed']})" if "failed" in row else ""
        cells = [name + note, row.get("features", ""), row.get("objective", "")]
        for column in shown:
            if column not in row:
                cells.append("-")
                continue
            _, sign, digits = COLUMNS[column]
            text = f"{row[column]:.{digits}f}"
            spread = f" ± {row[f'{column}/std']:.{digits}f}" if sign and row[f"{column}/seeds"] > 1 else ""
            cells.append(f"**{text}**{spread}" if text == best.get(column) else text + spread)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw_table(table: dict[str, dict[str, Any]], source: str, path: Path) -> None:
    """Draw CBC, PLP and key-event spread of each row with their spread over seeds; nothing if none is known."""
    shown = [c for c in ("train/cbc", "test/plp", "event_spread") if any(c in row for row in table.values())]
    if not shown:
        return
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    names = list(table)
    figure, axes = plt.subplots(
        1,
        len(shown),
        figsize=(4 * len(shown), 0.32 * len(names) + 1.2),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, column in zip(axes[0], shown, strict=True):
        title, sign, _ = COLUMNS[column]
        known = [(i, row[column], row[f"{column}/std"]) for i, row in enumerate(table.values()) if column in row]
        values = [v for _, v, _ in known]
        best = max(values) if sign > 0 else min(values)
        for i, value, spread in known:
            color = "#d1495b" if value == best else "#30638e"
            axis.errorbar(value, i, xerr=spread, fmt="o", color=color, markersize=5, capsize=2)
        axis.set_title(title, fontsize=10)
        axis.grid(axis="x", alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_yticks(range(len(names)), names)
    axes[0][0].invert_yaxis()
    figure.suptitle(source, fontsize=9, color="0.4")
    figure.savefig(path, dpi=120)
    plt.close(figure)
