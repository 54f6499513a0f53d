"""The best value so far of each score that is followed during training."""

import csv
import math
from collections.abc import Callable, Mapping
from pathlib import Path

BEST: dict[str, tuple[str, Callable[[float, float], float]]] = {
    "val/plp": ("best/plp", max),
    "val/event_spread": ("best/event_spread", min),
    "quality/score": ("best/score", max),
}
"""Score to the name of its best value, and which of two is better. None of them looks at a test video."""


def read_log(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read the CSV log of a run, also one that is being written.

    Args:
        path: ``metrics.csv``.

    Returns:
        Name to its (epoch, value) pairs in the order of writing; empty where there is no file.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError:
        return found
    for row in rows:
        for name, text in row.items():
            try:
                value = float(text)
                epoch = int(float(row["epoch"]))
            except (TypeError, ValueError, KeyError):  # an empty cell, or a line that is half written
                continue
            if name is not None and name not in ("epoch", "step"):
                found.setdefault(name, []).append((epoch, value))
    return found


class BestScores:
    """Keeps the best value of each score in :data:`BEST`.

    Args:
        log: CSV log of an earlier part of the same run, which counts too.
    """

    def __init__(self, log: Path | None = None) -> None:
        """Start with what an earlier part of the run has reached."""
        self.values: dict[str, float] = {}
        if log is not None:
            for name, pairs in read_log(log).items():
                for _, value in pairs:
                    self.update({name: value})

    def update(self, metrics: Mapping[str, object]) -> dict[str, float]:
        """Take new scores in.

        Returns:
            The best values, under ``best/``, of the scores that are among the new ones.
        """
        changed = {}
        for name, (best, better) in BEST.items():
            value = metrics.get(name)
            if isinstance(value, (int, float)) and math.isfinite(value):
                self.values[best] = better(self.values.get(best, value), value)
                changed[best] = self.values[best]
        return changed
