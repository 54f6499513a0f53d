"""Decoding ahead in threads, so that a network need not wait for frames."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

__all__ = ["prefetched"]

Item = TypeVar("Item")


def prefetched(openers: Sequence[Callable[[], Iterator[Item]]], *, ahead: int, size: int) -> Iterator[Iterator[Item]]:
    """Run iterators in threads, the next few of them at a time; FFmpeg and Pillow work without Python's lock.

    Args:
        openers: functions that return the iterators.
        ahead: iterators that run at a time.
        size: items of each that are kept until they are asked for.

    Yields:
        For each function the items of its iterator, in order; an error comes where the iterator raised it. What is
        left of one is dropped when the next is asked for.
    """
    waiting, running = deque(openers), deque[_Ahead[Item]]()
    try:
        while waiting or running:
            while waiting and len(running) < ahead:
                running.append(_Ahead(waiting.popleft(), size))
            yield iter(running[0])
            running.popleft().stop()
    finally:
        for reader in running:
            reader.stop()


class _Ahead(Generic[Item]):
    def __init__(self, opener: Callable[[], Iterator[Item]], size: int) -> None:
        self._queue: queue.Queue[tuple[str, Item | BaseException | None]] = queue.Queue(size)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(opener,), daemon=True)
        self._thread.start()

    def _run(self, opener: Callable[[], Iterator[Item]]) -> None:
        try:
            for item in opener():
                if not self._put(("item", item)):
                    return
            self._put(("end", None))
        except BaseException as error:  # raised again where the items are read
            self._put(("error", error))

    def _put(self, entry: tuple[str, Item | BaseException | None]) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[Item]:
        while True:
            kind, value = self._queue.get()
            if kind == "end":
                return
            if isinstance(value, BaseException):
                raise value
            yield value  # type: ignore[misc]

    def stop(self) -> None:
        self._stopped.set()
