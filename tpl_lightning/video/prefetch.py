"""Decoding ahead in threads, so that a network need not wait for frames."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Generic, TypeVar

_CHUNK = 16  # most items that pass between threads at a time: one by one, small frames spend time in the queue's locks

Item = TypeVar("Item")


def prefetched(
    openers: Sequence[Callable[[], Iterator[Item]]], *, ahead: int, size: int
) -> Generator[Iterator[Item], None, None]:
    """Run iterators in threads, the next few of them at a time; FFmpeg and Pillow work without Python's lock.

    Args:
        openers: functions that return the iterators.
        ahead: iterators that run at a time.
        size: about how many items of each are kept until they are asked for.

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
        # None: the end.
        self._chunk = min(_CHUNK, size)
        self._queue: queue.Queue[list[Item] | BaseException | None] = queue.Queue(max(size // _CHUNK, 1))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(opener,), daemon=True)
        self._thread.start()

    def _run(self, opener: Callable[[], Iterator[Item]]) -> None:
        chunk: list[Item] = []
        try:
            for item in opener():
                chunk.append(item)
                if len(chunk) == self._chunk:
                    if not self._put(chunk):
                        return
                    chunk = []
            self._put(chunk)
            self._put(None)
        except BaseException as error:  # raised again where the items are read, after those before it
            self._put(chunk)
            self._put(error)

    def _put(self, entry: list[Item] | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[Item]:
        while (entry := self._queue.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield from entry

    def stop(self) -> None:
        self._stopped.set()
