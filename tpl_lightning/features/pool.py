"""Work spread over processes, with a progress bar on standard error."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from tpl_lightning.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

_PLAIN_REPORTS = 5
"""Lines that a plain report has, where standard error is no terminal; more if they would be over a minute apart."""
_PLAIN_SECONDS = 60.0


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_parallel(
    function: Callable[[Item], Result], items: Sequence[Item], *, num_workers: int | None = None, ordered: bool = False
) -> Iterator[Result]:
    """Apply a function to each item in worker processes; a failure ends the whole at once.

    Args:
        function: a function of a module, so that a fresh process can import it.
        items: arguments; they and the results are pickled.
        num_workers: processes; None for one per usable core, 0 or 1 to work in this process.
        ordered: yield results in the order of the items, not as they come.

    Raises:
        UserError: if a worker was killed.
    """
    workers = min(usable_cores() if num_workers is None else num_workers, len(items))
    if workers <= 1:
        yield from map(function, items)
        return
    # Fresh interpreters: a fork would copy locks that threads of this process (PyTorch, the progress bar) may hold.
    # Not joblib's, which have fewer threads for matrices: the last digits of a result would depend on the workers.
    executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent)
    try:
        if ordered:
            yield from executor.map(function, items)
        else:
            for future in as_completed([executor.submit(function, item) for item in items]):
                yield future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was killed, for want of memory perhaps; run the command again, with fewer num_workers."
        ) from error
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


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
    """
    results = []
    with Progress(description, len(items), enabled=progress) as bar:
        for result in run_parallel(function, items, num_workers=num_workers, ordered=True):
            results.append(result)
            bar.advance()
    return results


class Progress:
    """A progress bar on a terminal, a few plain lines elsewhere; with frames per second where frames are told.

    Args:
        description: what it says.
        total: things to do.
        done: of these, done before.
        enabled: show anything at all.
    """

    def __init__(self, description: str, total: int, *, done: int = 0, enabled: bool = True) -> None:
        """Start the clock."""
        # FORCE_COLOR, which Jupyter sets for the commands that its cells run, makes no terminal of a pipe.
        console = Console(stderr=True, force_terminal=sys.stderr.isatty())
        self._is_plain = enabled and not console.is_terminal
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), "{task.fields[speed]}")
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        self._bar = RichProgress(*columns, *times, console=console, disable=self._is_plain or not enabled)
        self._bar.add_task(description, total=total, completed=done, speed="")
        self._before, self._frames, self._reported = done, 0, 0.0

    def __enter__(self) -> "Progress":
        """Show it."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        self._bar.stop()

    def advance(self, things: int = 1, *, frames: int = 0) -> None:
        """Count one more thing as done, or several, in which there were so many frames."""
        (task,) = self._bar.tasks
        elapsed = task.elapsed or 1e-9
        self._frames += frames
        speed = f"{self._frames / elapsed:.0f} frames/s" if self._frames else ""
        self._bar.update(task.id, advance=things, speed=speed)
        done, total = int(task.completed), int(task.total or 1)
        fifth = done * _PLAIN_REPORTS // total > (done - things) * _PLAIN_REPORTS // total
        if not self._is_plain or (not fifth and elapsed - self._reported < _PLAIN_SECONDS):
            return
        self._reported = elapsed
        left = int(elapsed / max(done - self._before, 1) * (total - done))
        parts = [f"{task.description}: {done}/{total}", speed, f"{left // 60}:{left % 60:02d} left" if left else ""]
        print(", ".join(part for part in parts if part), file=sys.stderr, flush=True)
