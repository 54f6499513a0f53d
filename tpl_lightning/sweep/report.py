"""What a sweep leaves in its folder: a table, a plot, the best configuration."""

import json
from pathlib import Path
from typing import Any

from tpl_lightning.files import Outputs
from tpl_lightning.sweep.definition import Sweep

__all__ = ["best_line", "write_best", "write_plot", "write_table"]

_PANELS = 8


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "null" if value is None else str(value)


def _ranked(rows: list[dict[str, Any]], sweep: Sweep) -> list[dict[str, Any]]:
    """Return the rows, the finished ones first and the best of them at the top."""
    sign = -1 if sweep.maximize else 1
    done = [row for row in rows if row["outcome"] == "done"]
    rest = [row for row in rows if row["outcome"] != "done"]
    return sorted(done, key=lambda row: sign * row[sweep.metric]) + rest


def best_line(row: dict[str, Any], sweep: Sweep) -> str:
    """Return the values that a trial tried, in one line."""
    return " ".join(f"{p.name}={_shown(row['parameters'].get(p.name))}" for p in sweep.varied)


def write_table(folder: Path, outputs: Outputs, sweep: Sweep, rows: list[dict[str, Any]], source: str) -> Path:
    """Write sweep.md (best in bold), sweep.json and sweep.csv and return the first."""
    names = [p.name for p in sweep.varied]
    goal = "higher is better" if sweep.maximize else "lower is better"
    heads = ["trial", f"{sweep.metric} ({goal})", "outcome", "seconds", *names]
    lines = [f"Data: {source}", "", f"Made from `{sweep.path}`; {len(rows)} trials; best in bold.", ""]
    lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    ranked = _ranked(rows, sweep)
    for place, row in enumerate(ranked):
        value, why = row[sweep.metric], f" ({row['why']})" if row["why"] else ""
        known = "-" if value is None else f"{value:.4f}"
        cells = [str(row["trial"]), known, row["outcome"] + why.replace("|", "/"), _shown(row["seconds"])]
        cells += [_shown(row["parameters"].get(name)) for name in names]
        best = place == 0 and row["outcome"] == "done"
        lines.append("| " + " | ".join(f"**{cell}**" if best else cell for cell in cells) + " |")
    outputs.write_text(folder / "sweep.md", "\n".join(lines) + "\n")
    best_row = ranked[0] if ranked and ranked[0]["outcome"] == "done" else None
    summary = {
        "metric": sweep.metric,
        "goal": "maximize" if sweep.maximize else "minimize",
        "data_source": source,
        "best": best_row,
        "trials": rows,
    }
    outputs.write_text(folder / "sweep.json", json.dumps(summary, indent=2) + "\n")
    every = [p.name for p in sweep.parameters]
    outputs.write_csv(
        folder / "sweep.csv",
        ["trial", sweep.metric, "outcome", "seconds", *every, "run"],
        [
            [
                *(row[key] for key in ("trial", sweep.metric, "outcome", "seconds")),
                *map(row["parameters"].get, every),
                row["run"],
            ]
            for row in rows
        ],
    )
    return folder / "sweep.md"


def write_best(folder: Path, outputs: Outputs, row: dict[str, Any], sweep: Sweep) -> Path:
    """Write the configuration of the best trial for ``tpl fit`` and return the file."""
    from omegaconf import OmegaConf

    tree = OmegaConf.to_container(OmegaConf.load(Path(row["run"]) / "config.yaml"))
    assert isinstance(tree, dict)
    kept = {key: value for key, value in tree.items() if key not in ("run", "bench")}
    path = folder / "best.yaml"
    head = f"# Trial {row['trial']}: {sweep.metric} {row[sweep.metric]:.4f}. Run it: tpl fit {path}\n"
    outputs.write_text(path, head + OmegaConf.to_yaml(OmegaConf.create(kept)))
    return path


def write_plot(folder: Path, outputs: Outputs, sweep: Sweep, rows: list[dict[str, Any]], source: str) -> Path:
    """Draw the metric over the trials, and over each parameter, into sweep.png."""
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    done = [row for row in rows if row["outcome"] == "done"]
    values = [row[sweep.metric] for row in done]
    panels = sweep.varied[: _PANELS - 1]
    columns = min(len(panels) + 1, 4)
    lines = -(-(len(panels) + 1) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.9 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).flat
    first = next(axes)
    early = [row for row in rows if row["outcome"] == "stopped early" and row[sweep.metric] is not None]
    styles: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
        (done, {"s": 18, "color": "C0"}),
        (early, {"s": 14, "color": "0.6", "marker": "x"}),
    ]
    for some, style in styles:
        first.scatter([row["trial"] for row in some], [row[sweep.metric] for row in some], **style)
    best = np.maximum.accumulate(values) if sweep.maximize else np.minimum.accumulate(values)
    first.step([row["trial"] for row in done], best, where="post", color="C1", label="best so far")
    first.xaxis.set_major_locator(MaxNLocator(integer=True))
    first.set_xlabel("trial")
    first.set_ylabel(sweep.metric)
    first.legend(fontsize=7)
    for panel, parameter in zip(axes, panels, strict=False):
        for some, style in styles:
            drawn = [row["parameters"].get(parameter.name) for row in some]
            places = [parameter.choices.index(value) for value in drawn] if parameter.choices else drawn
            panel.scatter(places, [row[sweep.metric] for row in some], **style)
        if parameter.choices:
            panel.set_xticks(range(len(parameter.choices)), [_shown(value) for value in parameter.choices], fontsize=7)
        elif parameter.log:
            panel.set_xscale("log")
        panel.set_xlabel(parameter.name, fontsize=8)
        panel.tick_params(labelsize=7)
    for panel in axes:
        panel.set_axis_off()
    figure.suptitle(f"{sweep.path.name}: crosses were stopped early. {source}", fontsize=8)
    path = folder / "sweep.png"
    with outputs.writing(path) as part:
        figure.savefig(part, dpi=120)
    return path
