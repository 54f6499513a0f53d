"""``tpl bench``: every method on one cache, each in a process of its own, and one table."""

import json
import math
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tpl_lightning.config import Config, config_to_dict, load_config
from tpl_lightning.errors import UserError

__all__ = ["main"]

_USAGE = """usage: tpl bench [config.yaml ...] [key=value ...] [bench.methods=[linear,tpl,...]] [bench.seeds=[0,1,2]]
Run every method on one cache and write <run.dir>/<run.name>/bench.md and bench.json (mean and spread over seeds).
Rows that are finished are not run again; a method that fails or takes too long leaves a row that says so.
example: tpl bench experiments/genai.yaml data.cache=data/genai.h5 run.name=bench
"""
_DETERMINISTIC = ("linear", "pad", "direct")
_COLUMNS = {
    "train/cbc": ("CBC ↑", 1),
    "test/plp": ("PLP ↑", 1),
    "event_spread": ("key-event spread ↓", -1),
    "warp_error": ("warp error ↓", -1),
    "test/phase_accuracy": ("phase accuracy ↑", 1),
    "test/kendall_tau": ("Kendall's τ ↑", 1),
    "seconds/fit": ("fit s", 0),
    "seconds/align": ("align s", 0),
    "memory_mib": ("peak MiB", 0),
}


def _wait(process: subprocess.Popen[bytes], seconds: float) -> tuple[int | None, float]:
    """Wait for a process; return its exit status (None: out of time) and its peak memory in MiB."""
    end = time.monotonic() + seconds
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_maxrss / 1024
        if time.monotonic() > end:
            process.kill()
            process.wait()
            return None, math.nan
        time.sleep(0.05)


def _row(config: Config, folder: Path, name: str, seed: int, fingerprint: str) -> dict[str, Any]:
    """Return the metrics of one method and seed, from an earlier run where it is finished."""
    run = folder / f"{name}-s{seed}"
    done = run / "bench_row.json"
    method, refine = name.removesuffix("+refined"), name.endswith("+refined") or name == "tpl_plus"
    base = config_to_dict(config)
    own = {"method": method, "refine": refine, "seed": seed, "bench": None, "run": None}
    key = json.dumps({**base, **own, "fingerprint": fingerprint}, sort_keys=True)
    if done.is_file():
        stored: dict[str, Any] = json.loads(done.read_text())
        if stored.get("key") == key:
            return stored
    options = folder / f".{name}-s{seed}.yaml"
    from omegaconf import OmegaConf

    tree = {k: v for k, v in {**base, **own}.items() if k not in ("bench", "run")}
    options.write_text(OmegaConf.to_yaml(OmegaConf.create(tree)), encoding="utf-8")
    arguments = [f"run.dir={folder}", f"run.name={run.name}", "run.progress=false"]
    arguments.append(f"run.figures={str(config.run.figures).lower()}")
    log = folder / f"{run.name}.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "tpl_lightning", "fit", str(options), *arguments]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        code, memory = _wait(process, config.bench.minutes * 60)
    options.unlink()
    if code != 0:
        last = (log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
        why = f"out of time after {config.bench.minutes:g} min" if code is None else f"failed ({last[:200]})"
        return {"failed": why}
    metrics = json.loads((run / "metrics.json").read_text())
    result = {k: metrics.get(k) for k in _COLUMNS} | {"memory_mib": memory, "key": key}
    if refine:
        result["unrefined"] = {k: metrics.get(f"{method}/{k}") for k in _COLUMNS}
    done.write_text(json.dumps(result, indent=2), encoding="utf-8")
    return result


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and spread (standard deviation over seeds) of each column."""
    failed = [row["failed"] for row in rows if "failed" in row]
    found: dict[str, Any] = {"failed": failed[0]} if failed else {}
    for column in _COLUMNS:
        values = [row[column] for row in rows if row.get(column) is not None]
        if values:
            found[column] = statistics.fmean(values)
            found[f"{column}/std"] = statistics.stdev(values) if len(values) > 1 else 0.0
            found[f"{column}/seeds"] = len(values)
    return found


def _markdown(table: dict[str, dict[str, Any]], source: str, command: str) -> str:
    """Return the table, best figures in bold."""
    from tpl_lightning.report import method_name

    shown = [c for c in _COLUMNS if any(c in row for row in table.values())]
    best: dict[str, float] = {}
    for column in shown:
        sign = _COLUMNS[column][1]
        values = [float(row[column]) for row in table.values() if column in row]
        if sign:
            best[column] = max(values) if sign > 0 else min(values)
    lines = [f"Data: {source}", "", f"Made by `{command}`. Mean ± standard deviation over seeds; best in bold.", ""]
    lines.append("| method | " + " | ".join(_COLUMNS[c][0] for c in shown) + " |")
    lines.append("|---" * (len(shown) + 1) + "|")
    for name, row in table.items():
        cells = []
        for column in shown:
            if column not in row:
                cells.append("-")
                continue
            digits = {0: 1, 1: 3, -1: 4}[_COLUMNS[column][1]] if column != "memory_mib" else 0
            text = f"{row[column]:.{digits}f}"
            if _COLUMNS[column][1] and row[f"{column}/seeds"] > 1:
                text += f" ± {row[f'{column}/std']:.{digits}f}"
            cells.append(f"**{text}**" if row[column] == best.get(column) else text)
        note = f" ({row['failed']})" if "failed" in row else ""
        lines.append(f"| {method_name(name)}{note} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def run(config: Config) -> int:
    """Run all rows, writing the table after each."""
    from rich.console import Console

    from tpl_lightning.data.cache import EmbeddingCache
    from tpl_lightning.data.sources import find_or_make_cache
    from tpl_lightning.report import REFINED, data_source
    from tpl_lightning.run_directory import write_atomically

    cache = EmbeddingCache(find_or_make_cache(config.data, progress=config.run.progress))
    cache.validate()
    config = replace(config, data=replace(config.data, cache=str(cache.path)))
    folder = Path(config.run.dir) / (config.run.name or f"bench-{cache.path.stem}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another run.dir.") from error
    console, source, fingerprint = Console(stderr=True), data_source(cache), cache.fingerprint()
    names, numbers = ",".join(config.bench.methods), ",".join(map(str, config.bench.seeds))
    command = f"tpl bench data.cache={cache.path.name} bench.methods=[{names}] bench.seeds=[{numbers}]"
    table: dict[str, dict[str, Any]] = {}
    for name in config.bench.methods:
        seeds = config.bench.seeds[:1] if name in _DETERMINISTIC else config.bench.seeds
        rows = []
        for seed in seeds:
            console.print(f"{name}, seed {seed} ...", highlight=False)
            rows.append(_row(config, folder, name, seed, fingerprint))
            if "failed" in rows[-1]:
                console.print(f"  {rows[-1]['failed']}", highlight=False, markup=False)
        base = name.removesuffix(REFINED)
        if any("unrefined" in row for row in rows):
            table[base] = _summary([row["unrefined"] for row in rows if "unrefined" in row])
            name = base + REFINED
        table[name] = _summary(rows)
        write_atomically(folder / "bench.md", _markdown(table, source, command))
        write_atomically(folder / "bench.json", json.dumps({"data_source": source, "rows": table}, indent=2) + "\n")
    print((folder / "bench.md").read_text())
    print(f"Tables: {folder / 'bench.md'}, {folder / 'bench.json'}")
    return 0


def main(arguments: list[str]) -> int:
    """Read the configuration and run."""
    if set(arguments) & {"-h", "--help"}:
        print(_USAGE)
        return 0
    return run(load_config(arguments))
