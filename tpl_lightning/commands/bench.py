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
from dataclasses import asdict, replace
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
    given = flattened(differences(config)) | flattened(row.overrides) | {"seed": seed}
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
    # Its table is what counts of a row.
    wandb = "disabled" if config.run.wandb == "auto" else config.run.wandb
    place = replace(config.run, dir=str(folder), name=run.name, progress=False, wandb=wandb)
    options, log = folder / f".{run.name}.yaml", folder / f"{run.name}.log"
    options.write_text(to_yaml({**tree, "run": asdict(place)}), encoding="utf-8")
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
    unrefined = {k: metrics[f"{row.method}/{k}"] for k in COLUMNS if f"{row.method}/{k}" in metrics}
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


def _lines(config: Config, folder: Path, row: BenchRow, fingerprint: str, head: str) -> dict[str, dict[str, Any]]:
    """Fit a row with each seed; return the lines that it makes, by the name shown: two where it was refined."""
    results: list[dict[str, Any]] = []
    for seed in config.bench.seeds[:1] if row.deterministic else config.bench.seeds:
        print(f"{head} {row.name}, seed {seed} ...", file=sys.stderr)
        results.append(_fit(config, folder, row, seed, fingerprint))
        if "failed" in results[-1]:
            print(f"  {results[-1]['failed']}", file=sys.stderr)
        if "late" in results[-1]:
            break  # other seeds take as long
    is_file = row.name.endswith((".yaml", ".yml"))
    shown = row.folder if is_file else reports.method_name(row.name.removesuffix(reports.REFINED))
    unrefined = [result["unrefined"] for result in results if "unrefined" in result]
    if not unrefined:
        return {shown: summarise(results)}
    return {shown: summarise(unrefined), f"{shown}, refined": summarise(results)}


def run(config: Config) -> int:
    """Run all rows, writing the table after each."""
    plan = bench_rows(config.bench.methods, config.method)
    objectives = [row.objective(_row_tree(config, row, config.seed)) for row in plan]
    command = table_command(config)
    cache, usable = data.usable_groups(open_data(config), config.data)
    config = replace(config, data=replace(usable, cache=str(cache.path)))
    folder = runs.make_folder(Path(config.run.dir) / (config.run.name or f"bench-{cache.name}"))
    outputs = Outputs("bench")
    markdown, summary, picture = targets = [folder / f"bench.{ending}" for ending in ("md", "json", "png")]
    outputs.check(targets)
    source, table = reports.data_source(cache), dict[str, dict[str, Any]]()
    for count, (row, objective) in enumerate(zip(plan, objectives, strict=True), start=1):
        lines = _lines(config, folder, row, cache.fingerprint(), f"[{count}/{len(plan)}]")
        about = {"features": cache.extractor, "objective": objective}
        table |= {name: about | figures for name, figures in lines.items()}
        head = f"Data: {source}\n\nMade by `{command}`. Mean ± standard deviation over seeds; best in bold.\n\n"
        foot = f"\n![CBC, PLP and key-event spread of each row]({picture.name})\n"
        outputs.write_text(markdown, head + markdown_table(table) + foot)
        facts = {"data_source": source, "command": command, "rows": table}
        outputs.write_text(summary, json.dumps(facts, indent=2) + "\n")
    with best_effort("the figure is not drawn"), outputs.writing(picture) as part:
        draw_table(table, source, part)
    print(markdown.read_text(encoding="utf-8"))
    print(f"Tables: {markdown}, {summary}; figure: {picture}")
    return 0


OPTIONS = Config


def main(arguments: list[str]) -> int:
    """Read the configuration and run."""
    return run(load_config(arguments))
