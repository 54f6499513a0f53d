"""A loader whose batches are read by threads before they are asked for."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tpl_lightning.data.loading.batch import PackedBatch


class ReadAheadLoader(DataLoader[PackedBatch]):
    """Serves the batches of a dataset in the order of its sampler.

    Threads, not processes: reading a file needs no Python lock, and a batch need not be copied from one process to
    another, which takes several times as to read it.

    Args:
        dataset: Makes whole batches (``__getitems__``), from several threads at a time.
        threads: That read ahead; 0: batches are read when they are asked for.
        **options: Of the DataLoader: sampler and size of a batch, or a sampler of batches.
    """

    def __init__(self, dataset: Any, *, threads: int, **options: Any) -> None:
        """Keep the number of threads; there are no processes to be started."""
        super().__init__(dataset, num_workers=0, collate_fn=_pinned, **options)
        self.threads = threads

    def __iter__(self) -> Iterator[PackedBatch]:  # type: ignore[override]
        """Yield the batches.

        Raises:
            UserError: Where a batch comes that cannot be read.
        """
        if not self.threads:
            yield from super().__iter__()
            return
        assert self.batch_sampler is not None
        begun: deque[Future[PackedBatch]] = deque()
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="read-ahead")
        try:
            for indices in self.batch_sampler:
                begun.append(pool.submit(self._made, indices))
                if len(begun) > 2 * self.threads:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _made(self, indices: list[int]) -> PackedBatch:
        return _pinned(self.dataset.__getitems__(indices))  # type: ignore[attr-defined]


def _pinned(batch: PackedBatch | Any) -> Any:
    """Return the batch in memory that a GPU copies from without waiting, where there is one."""
    if not torch.cuda.is_available():
        return batch
    return PackedBatch._make(x.pin_memory() if isinstance(x, Tensor) else x for x in batch)
