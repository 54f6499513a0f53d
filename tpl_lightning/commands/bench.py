"""``tpl bench``: every method on one cache, each in a process of its own, and one table.

usage: tpl bench [config.yaml ...] [key=value ...] [bench.methods=[linear,tpl,...]] [bench.seeds=[0,1,2]]
Run every method on one cache and write <run.dir>/<run.name>/bench.md and bench.json (mean and spread over seeds).
Rows that are finished are not run again; a method that fails or takes too long leaves a row that says so.
A YAML file among the methods makes a row of its own: experiments/ablations/*.yaml are those of the paper's table 5.
example: tpl bench experiments/genai.yaml data.cache=data/genai.h5 run.name=bench
"""

import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tpl_lightning import data, reports, runs
from tpl_lightning.commands.bench_rows import BenchRow, bench_rows
from tpl_lightning.commands.bench_table import COLUMNS, draw_table, markdown_table, summarise
from tpl_lightning.commands.shared import open_data
from tpl_lightning.config import Config, config_to_dict, differences, flattened, load_config, nested, to_yaml
from tpl_lightning.errors import UserError, best_effort
from tpl_lightning.files import Outputs


def wait(process: subprocess.Popen[bytes], seconds: float) -> tuple[int | None, float]:
    """Wait for a process; return its exit status (None: out of time) and its peak memory in MiB.

    Where it is not waited for to the end, it is stopped with all that it has started: it leads a session of its own.
    """
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return process.returncode, usage.ru_maxrss / 1024
            time.sleep(0.05)
        return None, math.nan
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _row_tree(config: Config, row: BenchRow, seed: int) -> dict[str, Any]:
    """Return the whole configuration of one fit as nested dictionaries, without where it runs."""
    # What was given, not what its method sets beside: another method has its own.
    base = {key: value for key, value in differences(config).items() if key not in ("bench", "run")}
    given = flattened(base) | flattened(row.overrides) | {"seed": seed}
    try:
        whole = config_to_dict(load_config(defaults=nested(given)))
    except UserError as error:
        raise UserError(f"bench.methods: {row.name}: {error}") from error
    return {key: value for key, value in whole.items() if key not in ("bench", "run")}


def _fit(config: Config, folder: Path, row: BenchRow, seed: int, fingerprint: str) -> dict[str, Any]:
    """Return the metrics of one method and seed, from an earlier run where it is finished."""
    run = folder / f"{row.folder}-s{seed}"
    done, tree = run / "bench_row.json", _row_tree(config, row, seed)
    key = json.dumps({**tree, "fingerprint": fingerprint}, sort_keys=True)
    if done.is_file():
        stored: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        if stored.get("key") == key:
            return stored
    options = folder / f".{run.name}.yaml"
    place = {**config_to_dict(config)["run"], "dir": str(folder), "name": run.name, "progress": False}
    if config.run.wandb == "auto":  # its table is what counts of a row
        place["wandb"] = "disabled"
    options.write_text(to_yaml({**tree, "run": place}), encoding="utf-8")
    log = folder / f"{run.name}.log"
    try:
        with log.open("wb") as out:
            command = [sys.executable, "-m", "tpl_lightning", "fit", str(options)]
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
            code, memory = wait(process, config.bench.minutes * 60)
    finally:
        options.unlink()
    if code is None:
        return {"failed": f"out of time after {config.bench.minutes:g} min", "late": True}
    if code != 0:
        last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"])[-1]
        return {"failed": f"failed ({last[:200]})"}
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    result = {k: metrics.get(k) for k in COLUMNS} | {"memory_mib": memory, "key": key}
    unrefined = {k: metrics.get(f"{row.method}/{k}") for k in COLUMNS}
    if any(value is not None for value in unrefined.values()):
        result["unrefined"] = unrefined
    done.write_text(json.dumps(result, indent=2), encoding="utf-8")
    return result


def _text(value: Any) -> str:
    """Write a value as the command line reads it."""
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def table_command(config: Config) -> str:
    """Return the command that makes the table again; a cache is named without its folder."""
    tree = differences(config)
    apart = ["run", "bench", "seed"]  # where it runs; and what rows set themselves
    if not any(name.endswith((".yaml", ".yml")) for name in config.bench.methods):
        apart += ["method", "refine"]
    tree = {key: value for key, value in tree.items() if key not in apart}
    if config.data.cache is not None:
        tree["data"] = {**tree.get("data", {}), "cache": Path(config.data.cache).name}
    options = [f"{key}={_text(value)}" for key, value in flattened(tree).items()]
    rows = [f"bench.methods={_text(config.bench.methods)}", f"bench.seeds={_text(config.bench.seeds)}"]
    return shlex.join(["tpl", "bench", *options, *rows])


def _document(table: dict[str, dict[str, Any]], source: str, command: str) -> str:
    """Return what bench.md holds."""
    head = f"Data: {source}\n\nMade by `{command}`. Mean ± standard deviation over seeds; best in bold.\n\n"
    return head + markdown_table(table) + "\n![CBC, PLP and key-event spread of each row](bench.png)\n"


def _named(row: BenchRow, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the lines that a row makes in the table, by the name shown: two where it was refined."""
    base = row.name.removesuffix(reports.REFINED)
    shown = row.folder if row.name.endswith((".yaml", ".yml")) else reports.method_name(base)
    unrefined = [r["unrefined"] for r in rows if "unrefined" in r]
    if not unrefined:
        return {shown: summarise(rows)}
    return {shown: summarise(unrefined), f"{shown}, refined": summarise(rows)}


def run(config: Config) -> int:
    """Run all rows, writing the table after each."""
    from rich.console import Console

    plan = bench_rows(config.bench.methods, config.method)
    for row in plan:
        _row_tree(config, row, config.seed)
    command = table_command(config)
    cache, usable = data.usable_groups(open_data(config), config.data)
    config = replace(config, data=replace(usable, cache=str(cache.path)))
    folder = runs.make_folder(Path(config.run.dir) / (config.run.name or f"bench-{cache.name}"))
    outputs = Outputs("bench")
    outputs.check(folder / name for name in ("bench.md", "bench.json", "bench.png"))
    console, source, fingerprint = Console(stderr=True), reports.data_source(cache), cache.fingerprint()
    table: dict[str, dict[str, Any]] = {}
    for count, row in enumerate(plan, start=1):
        seeds = config.bench.seeds[:1] if row.deterministic else config.bench.seeds
        rows = []
        for seed in seeds:
            console.print(f"[{count}/{len(plan)}] {row.name}, seed {seed} ...", highlight=False, markup=False)
            rows.append(_fit(config, folder, row, seed, fingerprint))
            if "failed" in rows[-1]:
                console.print(f"  {rows[-1]['failed']}", highlight=False, markup=False)
            if "late" in rows[-1]:
                break  # other seeds take as long
        about = {"features": cache.extractor, "objective": row.objective(_row_tree(config, row, seeds[0]))}
        table |= {name: about | figures for name, figures in _named(row, rows).items()}
        outputs.write_text(folder / "bench.md", _document(table, source, command))
        about_all = {"data_source": source, "command": command, "rows": table}
        outputs.write_text(folder / "bench.json", json.dumps(about_all, indent=2) + "\n")
    with best_effort("the figure is not drawn"), outputs.writing(folder / "bench.png") as part:
        draw_table(table, source, part)
    print((folder / "bench.md").read_text(encoding="utf-8"))
    print(f"Tables: {folder / 'bench.md'}, {folder / 'bench.json'}; figure: {folder / 'bench.png'}")
    return 0


OPTIONS = Config


def main(arguments: list[str]) -> int:
    """Read the configuration and run."""
    return run(load_config(arguments))
