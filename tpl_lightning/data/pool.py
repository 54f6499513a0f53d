"""Work spread over processes, with a progress bar on standard error."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")
Result = TypeVar("Result")

_PLAIN_REPORTS = 5
"""Lines that a plain report has, where standard error is no terminal."""


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    description: str,
    num_workers: int | None = None,
    progress: bool = True,
) -> list[Result]:
    """Apply a function to each item in worker processes; the order of the results is that of the items.

    Args:
        function: a function of a module, so that a fresh process can import it.
        items: arguments; they and the results are pickled.
        description: what the progress bar says.
        num_workers: processes; None for one per usable core, 0 or 1 to work in this process.
        progress: show progress on standard error: a bar on a terminal, a few plain lines elsewhere.

    Returns:
        One result per item.
    """
    workers = min(usable_cores() if num_workers is None else num_workers, len(items))
    with _progress(description, len(items), enabled=progress) as advance:
        if workers <= 1:
            results = []
            for item in items:
                results.append(function(item))
                advance()
            return results
        # Fresh interpreters: a fork would copy locks that threads of this process (PyTorch, the progress bar) may hold.
        executor = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
        try:
            futures: list[Future[Result]] = [executor.submit(function, item) for item in items]
            for future in as_completed(futures):
                future.result()  # a failure ends the whole at once
                advance()
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise
        executor.shutdown()
        return [future.result() for future in futures]


@contextmanager
def _progress(description: str, total: int, *, enabled: bool) -> Iterator[Callable[[], None]]:
    console = Console(stderr=True)
    if enabled and console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(description, total=total)
            yield lambda: bar.advance(task)
        return
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if enabled and done * _PLAIN_REPORTS // total > (done - 1) * _PLAIN_REPORTS // total:
            print(f"{description}: {done}/{total}", file=sys.stderr, flush=True)

    yield advance
