"""Memory that batches use one after the other, and never at the same time."""

import pickle

import numpy as np
import torch

from tpl_lightning.data import buffers
from tpl_lightning.data.buffers import BufferPool

HALF = np.dtype(np.float16)


def test_memory_is_used_again_once_nothing_refers_to_it():
    pool = BufferPool()
    first = pool.empty((100, 8), HALF)
    place = first.data_ptr()
    assert first.shape == (100, 8)
    assert first.dtype == torch.float16
    views = [first[3:5], first.numpy()[7:], first.view(torch.int16).t()]
    del first
    while views:
        assert pool.empty((100, 8), HALF).data_ptr() != place
        views.pop()
    again = [pool.empty((10, 4), np.dtype(np.float32)), pool.empty((110, 8), HALF)]  # smaller; a little larger
    assert place in [tensor.data_ptr() for tensor in again]
    assert len(pool._buffers) == 2
    assert pool.empty((1000, 8), HALF).data_ptr() != place
    assert len(pool._buffers) == 3


def test_batches_that_are_kept_keep_their_values(monkeypatch):
    monkeypatch.setattr(buffers, "_KEPT", 3)
    pool = BufferPool()
    kept = [pool.empty((50, 2), HALF).fill_(i) for i in range(9)]
    assert all((batch == i).all() for i, batch in enumerate(kept))
    assert len(pool._buffers) == 3


def test_it_begins_anew_in_another_process():
    pool = BufferPool()
    tensor = pool.empty((5,), HALF)
    assert pickle.loads(pickle.dumps(pool))._buffers == []
    assert len(tensor) == 5
