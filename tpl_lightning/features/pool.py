"""Work spread over processes, with a progress bar on standard error."""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

Item = TypeVar("Item")
Result = TypeVar("Result")

_PLAIN_REPORTS = 5
"""Lines that a plain report has, where standard error is no terminal; more if they would be over a minute apart."""
_PLAIN_SECONDS = 60.0


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel_imap(
    function: Callable[[Item], Result], items: Sequence[Item], *, num_workers: int | None = None
) -> Iterator[tuple[int, Result]]:
    """Apply a function to each item in worker processes, yielding results as they come.

    Args:
        function: a function of a module, so that a fresh process can import it.
        items: arguments; they and the results are pickled.
        num_workers: processes; None for one per usable core, 0 or 1 to work in this process.

    Yields:
        Position of an item and its result.
    """
    workers = min(usable_cores() if num_workers is None else num_workers, len(items))
    if workers <= 1:
        for position, item in enumerate(items):
            yield position, function(item)
        return
    # Fresh interpreters: a fork would copy locks that threads of this process (PyTorch, the progress bar) may hold.
    executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent)
    try:
        positions: dict[Future[Result], int] = {
            executor.submit(function, item): position for position, item in enumerate(items)
        }
        for future in as_completed(list(positions)):
            yield positions.pop(future), future.result()  # a failure ends the whole at once
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


def _end_with_parent() -> None:
    """End this process when the one that started it has been killed; it would wait for work forever."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


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
    results: dict[int, Result] = {}
    with Progress(description, len(items), enabled=progress) as bar:
        for position, result in parallel_imap(function, items, num_workers=num_workers):
            results[position] = result
            bar.advance()
    return [results[position] for position in range(len(items))]


class Progress:
    """A progress bar on a terminal, a few plain lines elsewhere; with frames per second where frames are told.

    Args:
        description: what it says.
        total: things to do.
        done: of these, done before.
        enabled: show anything at all.
    """

    def __init__(self, description: str, total: int, *, done: int = 0, enabled: bool = True) -> None:
        """Take what to show; the clock starts on entering."""
        self._description, self._total, self._done, self._enabled = description, total, done, enabled
        self._before, self._frames, self._began, self._reported = done, 0, time.monotonic(), time.monotonic()
        self._bar: RichProgress | None = None

    def __enter__(self) -> "Progress":
        """Start the clock."""
        self._began = self._reported = time.monotonic()
        # FORCE_COLOR, which Jupyter sets for the commands that its cells run, makes no terminal of a pipe.
        console = Console(stderr=True, force_terminal=sys.stderr.isatty())
        if self._enabled and console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[speed]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            self._bar = RichProgress(*columns, console=console)
            self._task = self._bar.add_task(self._description, total=self._total, completed=self._done, speed="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        if self._bar is not None:
            self._bar.stop()

    def advance(self, things: int = 1, *, frames: int = 0) -> None:
        """Count one more thing as done, or several, in which there were so many frames."""
        self._done += things
        self._frames += frames
        if self._bar is not None:
            self._bar.update(self._task, advance=things, speed=self._speed())
        elif self._enabled:
            self._report(things)

    def _speed(self) -> str:
        return f"{self._frames / max(time.monotonic() - self._began, 1e-9):.0f} frames/s" if self._frames else ""

    def _report(self, things: int) -> None:
        now, total = time.monotonic(), self._total
        fifth = self._done * _PLAIN_REPORTS // total > (self._done - things) * _PLAIN_REPORTS // total
        if not fifth and now - self._reported < _PLAIN_SECONDS:
            return
        self._reported = now
        parts = [f"{self._description}: {self._done}/{total}"]
        if self._frames:
            parts.append(self._speed())
        left = (now - self._began) / max(self._done - self._before, 1) * (total - self._done)
        if left >= 1:
            parts.append(f"{int(left) // 60}:{int(left) % 60:02d} left")
        print(", ".join(parts), file=sys.stderr, flush=True)
