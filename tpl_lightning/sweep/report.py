"""What a sweep leaves in its folder: a table, a plot, the best configuration."""

import json
from pathlib import Path
from typing import Any

from tpl_lightning.config import config_to_dict, load_config, to_yaml
from tpl_lightning.files import Outputs
from tpl_lightning.sweep.results import DONE, STOPPED, Results, Row, shown

REPORT_FILES = ("sweep.md", "sweep.json", "sweep.csv", "best.yaml", "sweep.png")
_PANELS = 8


def write_report(folder: Path, outputs: Outputs, results: Results) -> None:
    """Write sweep.md, sweep.json and sweep.csv, and best.yaml for ``tpl fit`` once a trial has come to its end."""
    outputs.write_text(folder / "sweep.md", _table(results))
    sweep, best = results.sweep, results.best
    summary = {
        "metric": sweep.metric,
        "goal": "maximize" if sweep.maximize else "minimize",
        "data_source": results.source,
        "best": None if best is None else results.as_dict(best),
        "trials": [results.as_dict(row) for row in results.rows],
    }
    outputs.write_text(folder / "sweep.json", json.dumps(summary, indent=2) + "\n")
    names = [p.name for p in sweep.parameters]
    rows = [
        [row.trial, row.value, row.outcome, row.seconds, *map(row.parameters.get, names), row.run]
        for row in results.rows
    ]
    outputs.write_csv(folder / "sweep.csv", ["trial", sweep.metric, "outcome", "seconds", *names, "run"], rows)
    if best is not None:
        path = folder / "best.yaml"
        head = f"# Trial {best.trial}: {sweep.metric} {best.figure}. Run it: tpl fit {path}\n"
        tree = config_to_dict(load_config([str(Path(best.run) / "config.yaml")]))
        outputs.write_text(path, head + to_yaml({k: v for k, v in tree.items() if k not in ("run", "bench")}))


def _table(results: Results) -> str:
    """Return the trials as Markdown, the best in bold and at the top."""
    sweep, names = results.sweep, [p.name for p in results.sweep.varied]
    goal = "higher is better" if sweep.maximize else "lower is better"
    heads = ["trial", f"{sweep.metric} ({goal})", "outcome", "seconds", *names]
    lines = [f"Data: {results.source}", "", f"Made from `{sweep.path}`; {len(results.rows)} trials; best in bold.", ""]
    lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in results.ranked:
        why = f" ({row.why})".replace("|", "/") if row.why else ""
        cells = [str(row.trial), row.figure, row.outcome + why, shown(row.seconds)]
        cells += [shown(row.parameters.get(name)) for name in names]
        bold = "**" if row is results.best else ""
        lines.append("| " + " | ".join(f"{bold}{cell}{bold}" for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def write_plot(folder: Path, outputs: Outputs, results: Results) -> Path:
    """Draw the metric over the trials, and over each parameter, into sweep.png."""
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    sweep, done = results.sweep, results.done
    rows = [row for row in results.rows if row.outcome in (DONE, STOPPED) and row.value is not None]
    panels = sweep.varied[: _PANELS - 1]
    columns = min(len(panels) + 1, 4)
    lines = -(-(len(panels) + 1) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.9 * lines), layout="constrained")
    first, *others = figure.subplots(lines, columns, squeeze=False).flat
    _scatter(first, rows, [row.trial for row in rows])
    best = (np.maximum if sweep.maximize else np.minimum).accumulate(np.array([row.value for row in done], dtype=float))
    first.step([row.trial for row in done], best, where="post", color="C1", label="best so far")
    first.xaxis.set_major_locator(MaxNLocator(integer=True))
    first.set_xlabel("trial")
    first.set_ylabel(sweep.metric)
    first.legend(fontsize=7)
    for panel, parameter in zip(others, panels, strict=False):
        places = [row.parameters.get(parameter.name) for row in rows]
        if parameter.choices:
            places = [parameter.choices.index(value) for value in places]
            panel.set_xticks(range(len(parameter.choices)), [shown(value) for value in parameter.choices], fontsize=7)
        elif parameter.log:
            panel.set_xscale("log")
        _scatter(panel, rows, places)
        panel.set_xlabel(parameter.name, fontsize=8)
        panel.tick_params(labelsize=7)
    for panel in others[len(panels) :]:
        panel.set_axis_off()
    figure.suptitle(f"{sweep.path.name}: crosses were stopped early. {results.source}", fontsize=8)
    path = folder / "sweep.png"
    with outputs.writing(path) as part:
        figure.savefig(part, dpi=120)
    return path


def _scatter(panel: Any, rows: list[Row], places: list[Any]) -> None:
    """Draw the metric at some places: of finished trials as points, of those that were stopped as crosses."""
    for outcome, style in ((DONE, {"s": 18, "color": "C0"}), (STOPPED, {"s": 14, "color": "0.6", "marker": "x"})):
        chosen = [i for i, row in enumerate(rows) if row.outcome == outcome]
        panel.scatter([places[i] for i in chosen], [rows[i].value for i in chosen], **style)
