"""One trial: ``tpl fit`` in a process of its own, watched while it runs."""

import errno
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

from tpl_lightning.tracking import BEST, read_log

COMMAND = (sys.executable, "-m", "tpl_lightning", "fit")
# What fails for want of room says nothing of its values: it is tried again as what was killed, by the next call.
_NO_ROOM = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS))
POLL_SECONDS = 0.25
_GRACE_SECONDS = 15.0  # after SIGTERM, to write a checkpoint


class TrialFailed(Exception):
    """A trial that gave no value; says why in one line.

    Args:
        why: The line.
        killed: Whether the process was killed from outside, for want of memory say.
    """

    def __init__(self, why: str, *, killed: bool = False) -> None:
        """Keep both."""
        super().__init__(why)
        self.killed = killed


def _history(run_dir: Path, metric: str, last: Mapping[str, Any] | None = None) -> list[float]:
    """Return the values of a metric that a run has logged so far, and its last one; of a best/ one, the best so far."""
    source, better = next(((name, better) for name, (best, better) in BEST.items() if best == metric), (metric, None))
    values = [value for _, value in read_log(run_dir / "metrics.csv").get(source, [])]
    final = (last or {}).get(source)
    if isinstance(final, (int, float)):
        values.append(final)
    return values if better is None else list(accumulate(filter(math.isfinite, values), better))


def metric_of_run(run_dir: Path, metric: str) -> float:
    """Return a metric of a finished run.

    Raises:
        TrialFailed: If the run has no such metric, or it is no number.
    """
    try:
        metrics: dict[str, Any] = json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrialFailed(f"{run_dir / 'metrics.json'} is missing or not readable ({error})") from error
    history = _history(run_dir, metric, metrics)
    if metric not in metrics and not history:
        raise TrialFailed(f"the run has no metric {metric!r}")
    value = metrics[metric] if metric in metrics else history[-1]
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TrialFailed(f"metric {metric!r} is {value}: nothing to measure it on")
    return float(value)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()  # says nothing to one that has ended
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def fit(
    arguments: Sequence[str], run_dir: Path, log: Path, *, metric: str, report: Callable[[int, float], bool] | None
) -> bool:
    """Run ``tpl fit`` to its end, or until it is given up.

    Args:
        arguments: Of ``tpl fit``.
        run_dir: Where the run writes.
        log: File for what it prints.
        metric: Name of the metric that is followed.
        report: Told the number of each value that the run logs, from 1, and the value; answers whether to give up.
            None: the run is not followed.

    Returns:
        Whether it came to its end.

    Raises:
        TrialFailed: If it failed.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*COMMAND, *arguments], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        told, written = 0, None
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            now = _stamp(run_dir / "metrics.csv")
            if report is None or now == written:
                continue
            written = now
            for value in _history(run_dir, metric)[told:]:
                told += 1
                if report(told, value):
                    return False
    finally:
        _stop(process)  # also where this process is told to stop
    if process.returncode < 0:
        raise TrialFailed(f"killed by signal {-process.returncode}", killed=True)
    if process.returncode != 0:
        last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"])[-1]
        raise TrialFailed(last[:300], killed=any(words in last for words in _NO_ROOM))
    return True


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file does."""
    with suppress(OSError):
        stat = path.stat()
        return stat.st_mtime_ns, stat.st_size
    return None
