"""What a sweep has found so far."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tpl_lightning.sweep.definition import Sweep

DONE, STOPPED = "done", "stopped early"


def shown(value: Any) -> str:
    """Return a value as tables have it."""
    return f"{value:.4g}" if isinstance(value, float) else "null" if value is None else str(value)


@dataclass(frozen=True)
class Row:
    """A trial that came to an end.

    Attributes:
        trial: Its number.
        outcome: done, stopped early, failed or killed.
        value: Of the metric; where the trial was stopped, the last that was logged.
        seconds: How long it took.
        parameters: Its values.
        run: Its run directory.
        why: It failed, in one line.
    """

    trial: int
    outcome: str
    value: float | None
    seconds: float | None
    parameters: dict[str, Any]
    run: str
    why: str

    @property
    def figure(self) -> str:
        """Return the value as tables have it."""
        return "-" if self.value is None else f"{round(self.value, 4) + 0.0:.4f}"  # no -0.0000


@dataclass(frozen=True)
class Results:
    """The trials of a sweep in order."""

    sweep: Sweep
    rows: list[Row]

    @property
    def done(self) -> list[Row]:
        """Return the finished trials."""
        return [row for row in self.rows if row.outcome == DONE]

    @property
    def ranked(self) -> list[Row]:
        """Return all trials, the finished ones first and the best of them at the top."""
        best_first = sorted(self.done, key=lambda row: row.value or 0.0, reverse=self.sweep.maximize)
        return best_first + [row for row in self.rows if row.outcome != DONE]

    @property
    def best(self) -> Row | None:
        """Return the best finished trial, None where there is none."""
        return self.ranked[0] if self.done else None

    @property
    def source(self) -> str:
        """Return what the trials were fitted on, as their metrics.json says."""
        for row in self.done:
            path = Path(row.run) / "metrics.json"
            if path.is_file():
                return str(json.loads(path.read_text(encoding="utf-8")).get("data_source", ""))
        return "not known before a trial has come to its end"

    def line(self, row: Row) -> str:
        """Return the values that a trial tried, in one line."""
        return " ".join(f"{p.name}={shown(row.parameters.get(p.name))}" for p in self.sweep.varied)

    def as_dict(self, row: Row) -> dict[str, Any]:
        """Return a trial with its value under the metric's name."""
        return {self.sweep.metric if key == "value" else key: value for key, value in asdict(row).items()}
