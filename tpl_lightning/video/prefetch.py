"""Decoding ahead in threads, so that a network need not wait for frames."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
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
    """An iterator that runs in a thread, some items ahead."""

    def __init__(self, opener: Callable[[], Iterator[Item]], size: int) -> None:
        self._queue: queue.Queue[tuple[list[Item], BaseException | None]] = queue.Queue(max(size // _CHUNK, 1))
        self._stopped = False
        threading.Thread(target=self._run, args=(opener, min(_CHUNK, size)), daemon=True).start()

    def _run(self, opener: Callable[[], Iterator[Item]], chunk: int) -> None:
        items: list[Item] = []
        end: BaseException = StopIteration()
        try:
            for item in opener():
                items.append(item)
                if len(items) == chunk:
                    self._queue.put((items, None))
                    items = []
                if self._stopped:
                    return
        except BaseException as error:  # raised again where the items are read, after those before it
            end = error
        self._queue.put((items, end))

    def __iter__(self) -> Iterator[Item]:
        end = None
        while end is None:
            items, end = self._queue.get()
            yield from items
        if not isinstance(end, StopIteration):
            raise end

    def stop(self) -> None:
        self._stopped = True
        with suppress(queue.Empty):  # so that the thread, which may wait for room, goes on and ends
            while True:
                self._queue.get_nowait()
