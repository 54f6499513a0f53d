"""A loader whose batches are announced to the system, and read by threads, before they are asked for."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from torch.utils.data import DataLoader

from tpl_lightning.data.batch import PackedBatch

__all__ = ["ReadAheadLoader"]

_AHEAD = 4
"""Batches, beyond one for each thread, that are announced or read before they are asked for."""


class _Batches(Protocol):
    def announce(self, indices: Sequence[int]) -> None: ...

    def __getitems__(self, indices: Sequence[int]) -> PackedBatch: ...


class ReadAheadLoader(DataLoader[PackedBatch]):
    """Serves the batches of a dataset in the order of its sampler.

    Threads, not processes: reading a file and looking through an array need no Python lock, a batch need not be copied
    from one process to another, and no memory is held twice.

    Args:
        dataset: Makes whole batches, from several threads at a time, and passes on what will be read.
        threads: That read ahead; 0: batches are read when they are asked for, though announced before.
        **options: Of the DataLoader: sampler and size of a batch, or a sampler of batches.
    """

    def __init__(self, dataset: _Batches, *, threads: int, **options: Any) -> None:
        """Keep the number of threads; there are no processes to be started."""
        super().__init__(dataset, num_workers=0, **options)  # type: ignore[arg-type]
        self._batches, self.threads = dataset, threads

    def __iter__(self) -> Iterator[PackedBatch]:  # type: ignore[override]
        """Yield the batches.

        Raises:
            UserError: Where a batch comes that cannot be read.
        """
        if not self.threads:
            yield from self._ahead(lambda indices: partial(self._batches.__getitems__, indices))
            return
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="read-ahead")
        try:
            yield from self._ahead(lambda indices: pool.submit(self._batches.__getitems__, indices).result)
        finally:
            pool.shutdown(cancel_futures=True)

    def _ahead(self, begin: Callable[[Sequence[int]], Callable[[], PackedBatch]]) -> Iterator[PackedBatch]:
        """Yield batches; ``begin`` starts one and returns what waits for it."""
        assert self.batch_sampler is not None
        begun: deque[Callable[[], PackedBatch]] = deque()
        for indices in self.batch_sampler:
            self._batches.announce(indices)
            begun.append(begin(indices))
            if len(begun) > self.threads + _AHEAD:
                yield begun.popleft()()
        while begun:
            yield begun.popleft()()
