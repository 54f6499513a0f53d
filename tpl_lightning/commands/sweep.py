"""``tpl sweep``: run a sweep file of W&B here, with Optuna, or hand it to W&B.

usage: tpl sweep FILE [count=20] [server=false] [key=value ...]
Run a sweep file in W&B's format: draw values of its parameters, fit with each, and rank them by its metric. Optuna
draws: random, bayes (TPE), grid; hyperband stops trials early. No account is needed. Everything lies in
runs/sweep-<file>/ (run.dir and run.name say otherwise): one run per trial, sweep.md, sweep.json, sweep.csv, sweep.png,
and best.yaml for `tpl fit`. The same command goes on with a sweep that was stopped.
Further key=value are for every trial; a parameter that is given is not varied.
example: tpl sweep experiments/sweeps/genai.yaml count=20 data.cache=data/genai.h5
"""

import signal
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tpl_lightning import runs, sweep, tracking
from tpl_lightning.commands.arguments import parse_options
from tpl_lightning.config import Config, check_limits, is_file, split_argument
from tpl_lightning.errors import UserError, best_effort, first_line
from tpl_lightning.files import Outputs

_COUNT = 20


@dataclass(frozen=True)
class SweepOptions:
    """Options of ``tpl sweep``."""

    count: int | None = None
    """trials in all, those of earlier calls included; empty: the file's run_cap where it has one, else 20"""
    server: bool = False
    """hand the sweep to W&B instead and print its id, for `wandb agent`"""

    def __post_init__(self) -> None:
        """Check the number."""
        check_limits(self, count=(1, None))


def _split(arguments: list[str]) -> tuple[Path, SweepOptions, list[str]]:
    """Return the file, the options, and what is meant for the trials."""
    files = [argument for argument in arguments if is_file(argument)]
    given = [split_argument(argument) for argument in arguments if argument not in files]
    own = {item.name for item in fields(SweepOptions)}
    _, options = parse_options("sweep", [f"{key}={value}" for key, value in given if key in own], SweepOptions)
    if len(files) != 1 or files[0].startswith("-"):
        found = f"got {', '.join(files)}" if files else "got none"
        raise UserError(f"tpl sweep: expected one sweep file, but {found}; see tpl sweep --help.")
    return Path(files[0]), options, [f"{key}={value}" for key, value in given if key not in own]


def _hand_to_server(raw: dict[str, Any], config: Config, overrides: list[str]) -> int:
    """Make the sweep at W&B and print its id."""
    if tracking.find_login() is None:
        raise UserError(
            "tpl sweep server=true: no login to W&B found; run `wandb login` first, or leave server=true out to run "
            "the sweep here."
        )
    import wandb

    # An agent puts nothing but the parameters into the command, so what was typed here goes in before them.
    command: list[str] = []
    for item in raw["command"]:
        command += overrides if str(item).startswith("${args") else []
        command.append(item)
    project = config.run.project or raw.get("project") or "tpl_lightning"
    try:
        sweep_id = wandb.sweep({**raw, "command": command}, entity=raw.get("entity"), project=project)
    except Exception as error:  # wandb raises many unrelated classes for a server that refuses or does not answer
        raise UserError(f"tpl sweep: W&B did not take the sweep ({first_line(error)}).") from error
    print(f"make agent SWEEP_ID={'/'.join(filter(None, [raw.get('entity'), project, sweep_id]))}", file=sys.stderr)
    print(sweep_id)
    return 0


def _run_here(path: Path, count: int | None, overrides: list[str]) -> int:
    asked = sweep.read_sweep(path).without(overrides)
    config = asked.base_config(overrides)
    count = count or asked.run_cap or _COUNT
    folder = runs.make_folder(Path(config.run.dir) / (config.run.name or f"sweep-{path.stem}"))
    own = [override for override in overrides if not override.startswith(("run.dir=", "run.name="))]
    local, outputs = sweep.LocalSweep(asked, folder, own, config.seed), Outputs("sweep")
    outputs.check(folder / name for name in sweep.REPORT_FILES)

    def after_each(row: "sweep.Row") -> None:
        results = local.results()
        value = row.outcome if row.value is None else f"{asked.metric} {row.figure} ({row.outcome})"
        why = f": {row.why}" if row.why else ""
        number = f"trial {row.trial} ({len(results.rows)}/{count})"
        print(f"{number}: {value}{why}  {results.line(row)}", file=sys.stderr, flush=True)
        sweep.write_report(folder, outputs, results)

    local.run(count, after_each)
    results = local.results()
    sweep.write_report(folder, outputs, results)
    return _conclude(folder, outputs, results)


def _conclude(folder: Path, outputs: Outputs, results: "sweep.Results") -> int:
    """Print what is known in the end."""
    print(f"Table: {folder / 'sweep.md'}")
    best = results.best
    if best is None:
        others = "other processes run the trials of this sweep"
        print(f"tpl: {'no trial came to its end' if results.rows else others}", file=sys.stderr)
        return 1 if results.rows else 0
    with best_effort("the plot is not drawn"):
        print(f"Plot: {sweep.write_plot(folder, outputs, results)}")
    print(f"Best: {results.line(best)}")
    print(f"RESULT {results.sweep.metric}={best.figure} trial={best.trial} config={folder / 'best.yaml'}")
    return 0


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


OPTIONS = SweepOptions


def main(arguments: list[str]) -> int:
    """Check the file and every value that it lists before anything heavy is imported, then run."""
    path, options, overrides = _split(arguments)
    if options.server:
        asked = sweep.read_sweep(path)
        return _hand_to_server(asked.raw, asked.without(overrides).base_config(overrides), overrides)
    before = signal.signal(signal.SIGTERM, _stop)  # so that the trial ends with the sweep
    try:
        return _run_here(path, options.count, overrides)
    finally:
        signal.signal(signal.SIGTERM, before)
