"""Commands that are killed at random moments: what was there stays, what is new is whole or absent, and they go on.

Usage: python -m tests.fuzz.kills [--kills 60] [--seed 0] [--only fit]

Each command runs once to its end; what it writes, and when, is noted. Then copies of its folder are killed with
SIGKILL: at a random time after the first write, or just behind a random one of its writes; the main process alone, or
its workers too. The same command, or `tpl fit resume=`, has then to end with the same results.
"""

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
import h5py
import numpy as np
import torch

from tests.conftest import write_cache
from tests.run_factory import make_run
from tpl_lightning.config.stored import load_run_config
from tpl_lightning.data.cache.reader import open_cache
from tpl_lightning.evaluation.alignment import Alignment

QUIET = ("run.wandb=disabled", "run.figures=false", "run.progress=false")
NETWORK = ("train.max_epochs=6", "model.hidden=8", "model.aligner_filters=2", "model.aligner_depth=3", "data.pca=4")
SECONDS = 120  # in which a command must end
LOOKS = 0.002  # seconds between looks at the folder


@dataclass(frozen=True)
class Case:
    """A command that writes.

    Args:
        arguments: Of `tpl`.
        results: What it writes, as patterns; equal in whatever way it came to its end.
        run: The run directory that it can be resumed in, if so.
        replaces: Its second time replaces the results; if not, they are set aside.
    """

    arguments: Sequence[str]
    results: Sequence[str]
    run: str | None = None
    replaces: bool = True


def _fit(*options: str, name: str = "n") -> Case:
    given = ("fit", "data.cache=c.h5", f"run.name={name}", *options, *QUIET)
    return Case(given, (f"runs/{name}/alignment.h5", f"runs/{name}/metrics.json"), run=f"runs/{name}", replaces=False)


CASES = {
    "cache embed": Case(
        ("cache", "embed", "videos/tiny", "out=e.h5", "channels=4", "num_workers=2", "overwrite=true"), ("e.h5",)
    ),
    "cache import": Case(("cache", "import", "npy", "list.csv", "out=i.h5", "overwrite=true"), ("i.h5",)),
    "render": Case(
        ("render", "out=p.h5", "num_clips=10", "size=32", "channels=4", "num_workers=2", "overwrite=true"),
        ("p.h5", "p/*/*.mp4"),
    ),
    "fit, TPL": _fit("method=tpl", *NETWORK),
    "fit, TPL+": _fit("method=tpl_plus", *NETWORK),
    "fit, direct": _fit("method=direct"),
    "test": Case(
        ("test", "runs/fitted", "run.name=t", *QUIET),
        ("runs/t/alignment.h5", "runs/t/metrics.json"),
        replaces=False,
    ),
    "sync": Case(("sync", "runs/r", "out=s.mp4", "separate=true", "height=32"), ("s.mp4", "s/*.mp4", "s/*.csv")),
    "transfer": Case(("transfer", "runs/r", "out=l.csv"), ("l.csv",)),
    "view": Case(("view", "runs/r", "out=page"), ("page/index.html",)),
    "sweep": Case(("sweep", "sweep.yaml", "count=3", "data.cache=c.h5"), ("runs/sweep-sweep/sweep.csv",)),
}


def make_folder(folder: Path) -> None:
    """Write what the commands read."""
    make_run(folder, lengths=(20, 25, 30, 22))
    write_cache(folder / "c.h5", videos=8, channels=5, frames=(12, 20), split=["train"] * 6 + ["test"] * 2)
    rows = ["path,video_id,action,split"]
    for k in range(6):
        np.save(folder / f"v{k}.npy", np.random.default_rng(k).normal(size=(20, 4)).astype(np.float32))
        rows.append(f"v{k}.npy,v{k},jump,{'test' if k == 5 else 'train'}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    (folder / "sweep.yaml").write_text(
        'program: tpl\ncommand: ["${env}", "${program}", fit, "${args_no_hyphens}"]\n'
        "method: grid\nmetric: {name: quality/score, goal: maximize}\n"
        "parameters: {seed: {values: [0, 1, 2]}, method: {value: linear}}\n"
    )
    assert start(folder, _fit("method=direct", name="fitted").arguments).wait(SECONDS) == 0


def start(folder: Path, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    with (folder.parent / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tpl_lightning", *arguments],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        )


def look(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                stat = os.stat(os.path.join(root, name))
            except OSError:
                continue
            found[os.path.join(root, name)] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


def _follow(process: "subprocess.Popen[bytes]", folder: Path, until: Callable[[list[float]], bool]) -> list[float]:
    """Return when the folder changed, in seconds after the first change, until told to stop or the process ends."""
    before, changes, start = look(folder), [], 0.0
    limit = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < limit:
        now = look(folder)
        if now != before:
            start = start if changes else time.monotonic()
            changes.append(time.monotonic() - start)
            before = now
        if changes and until([*changes, time.monotonic() - start]):
            return changes
        time.sleep(LOOKS)
    assert process.poll() is not None, "the command did not end in time"
    return [*changes, time.monotonic() - start]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files(folder: Path) -> dict[str, str]:
    """Return the digest of each file."""
    return {p.relative_to(folder).as_posix(): _digest(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def _content(path: Path) -> object:
    """Return what a file says, without what differs from time to time; raise if it is not whole."""
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            is_cache = "format" in file.attrs
        if is_cache:
            cache = open_cache(path)
            cache.validate()
            return cache.fingerprint()
        alignment = Alignment.load(path)
        return [alignment.position(i).round(5).tolist() for i in range(len(alignment.video_id))]
    if path.suffix == ".json":
        found = json.loads(path.read_text())
        return {k: v for k, v in found.items() if "seconds" not in k} if isinstance(found, dict) else found
    if path.suffix == ".mp4":
        with av.open(str(path)) as file:
            return [hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest() for frame in file.decode(video=0)]
    if path.name == "sweep.csv":
        rows = list(csv.DictReader(path.open()))
        return sorted((row["seed"], row["quality/score"]) for row in rows)
    if path.suffix == ".ckpt":
        return sorted(torch.load(path, weights_only=True))
    if path.name == "config.yaml":
        return load_run_config(path)
    if path.suffix == ".db":
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        return None
    return path.read_bytes()


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part.endswith(".shards") for part in Path(name).parts)


def results(folder: Path, case: Case) -> dict[str, object]:
    paths = sorted(p for pattern in case.results for p in folder.glob(pattern) if not p.name.startswith("."))
    found = {path.relative_to(folder).as_posix(): _content(path) for path in paths}
    assert len(found) >= len(case.results), f"expected {case.results}, found {sorted(found)}"
    return found


def check_left(folder: Path, before: dict[str, str], case: Case) -> None:
    """Check what a killed command has left: old files whole, wherever they are now, and new ones whole."""
    now = files(folder)
    kept = set(now.values())
    for name, digest in before.items():
        if Path(name).name == ".lock" or name.endswith(".tpl-outputs.jsonl"):
            continue
        is_result = case.replaces and any(Path(name).match(pattern) for pattern in case.results)
        assert digest in kept or (is_result and name in now), f"{name} is lost"
    for name in now:
        if not _is_hidden(name) and before.get(name) != now[name] and Path(name).suffix not in (".log", ".db"):
            _content(folder / name)


def going_on(folder: Path, case: Case) -> list[str]:
    """Return the command that goes on."""
    run = folder / str(case.run)
    if case.run and (run / "config.yaml").is_file() and not (run / "metrics.json").is_file():
        return ["fit", f"resume={case.run}"]
    return list(case.arguments)


@dataclass
class Tally:
    """What came of the kills of a command."""

    kills: int = 0
    problems: list[str] = field(default_factory=list)
    litter: int = 0
    resumed: int = 0


class Killer:
    """Kills one command over and over.

    Args:
        place: A folder for it.
        template: What :func:`make_folder` has made.
        case: The command.
        random: Where the moments come from.
    """

    def __init__(self, place: Path, template: Path, case: Case, moments: random.Random) -> None:
        """Run it twice to its end: new, and with results there."""
        self.place, self.case, self.random, self.tally = place, case, moments, Tally()
        self.starts, self.changes = [template], []
        for number in range(2):
            done = place / f"done{number}" / "w"
            shutil.copytree(self.starts[-1], done)
            process = start(done, case.arguments)
            self.changes.append(_follow(process, done, lambda _: False))
            assert process.returncode == 0, (done.parent / "log").read_text()
            self.starts.append(done)
        self.expected = results(self.starts[1], case)
        assert results(self.starts[2], case) == self.expected, "the command does not give the same twice"

    def kill(self) -> None:
        """Kill it once, look at what is left, and go on."""
        number = self.random.randrange(2)  # whether results are there already
        changes = self.changes[number]
        seconds, count = self.random.uniform(0, changes[-1]), self.random.randint(1, len(changes) - 1)
        by_time, alone = self.random.random() < 0.5, self.random.random() < 0.5
        folder = self.place / "now" / "w"
        shutil.rmtree(folder.parent, ignore_errors=True)
        shutil.copytree(self.starts[number], folder)
        before = files(folder)
        process = start(folder, self.case.arguments)
        _follow(process, folder, lambda seen: seen[-1] >= seconds if by_time else len(seen) > count)
        moment = f"{seconds:.2f} s" if by_time else f"change {count}"
        what = f"results {'there' if number else 'new'}, killed {'alone' if alone else 'with workers'} at {moment}"
        if process.poll() is not None:
            return  # it was faster this time
        (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
        process.wait()
        self.tally.kills += 1
        try:
            self._check(folder, before, process.pid)
        except Exception as error:
            kept = self.place / f"problem{len(self.tally.problems)}"
            shutil.copytree(folder.parent, kept, dirs_exist_ok=True)
            self.tally.problems.append(f"{what}: {type(error).__name__} {error} ({kept})")
        finally:
            _end(process.pid)

    def _check(self, folder: Path, before: dict[str, str], group: int) -> None:
        if self.case.arguments[0] != "sweep":  # whose trial comes to its end by itself
            deadline = time.monotonic() + 20
            while _is_alive(group) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert not _is_alive(group), "workers outlive the command"
        check_left(folder, before, self.case)
        again = going_on(folder, self.case)
        self.tally.resumed += any(argument.startswith("resume=") for argument in again)
        code = start(folder, again).wait(SECONDS)
        log = (folder.parent / "log").read_text()
        assert code == 0, f"{' '.join(again)}: exit code {code}: {log[-500:]}"
        found = results(folder, self.case)
        differ = [name for name in self.expected if found.get(name) != self.expected[name]]
        assert not differ, f"{', '.join(differ)}: not as without the kill"
        check_left(folder, before, self.case)
        new = set(files(folder)) - set(files(self.starts[1])) - set(files(self.starts[2]))
        litter = sorted(name for name in new if _is_hidden(name) and not name.endswith(".lock"))
        self.tally.litter += len(litter)
        if litter:
            print("   left behind:", ", ".join(litter), flush=True)


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _end(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill all commands, print a table, and return 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=55, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="commands whose names hold this")
    parser.add_argument("--place", help="a folder that is kept; left out: a temporary one")
    options = parser.parse_args(arguments)
    names = [name for name in CASES if options.only in name]
    place = Path(options.place or tempfile.mkdtemp(prefix="kills-"))
    template = place / "template" / "w"
    template.mkdir(parents=True)
    make_folder(template)
    problems, lines = 0, ["| command | kills | resumed | left behind | problems |", "|---|---|---|---|---|"]
    for name in names:
        killer = Killer(place / name, template, CASES[name], random.Random(f"{options.seed} {name}"))
        wanted = max(1, round(options.kills / len(names)))
        for _ in range(3 * wanted):
            if killer.tally.kills < wanted:
                killer.kill()
        tally = killer.tally
        problems += len(tally.problems)
        lines.append(f"| {name} | {tally.kills} | {tally.resumed} | {tally.litter} | {len(tally.problems)} |")
        print(lines[-1], *tally.problems, sep="\n   ", flush=True)
    print("\n".join(lines))
    if not options.place and not problems:
        shutil.rmtree(place)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
