"""Memory for batches that is used again: the system has to clear fresh memory, which takes as long as reading."""

import math
import threading
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["BufferPool"]

_KEPT = 8
"""Buffers at most: of the batches read ahead, and of those in use."""


class BufferPool:
    """Hands out tensors, in whose memory others lie once they are gone; for several threads."""

    def __init__(self) -> None:
        """Own nothing yet."""
        self._lock = threading.Lock()
        self._buffers: list[tuple[np.ndarray, weakref.ref[np.ndarray]]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        """Begin anew in another process."""
        return BufferPool, ()

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> Tensor:
        """Return a tensor to be filled; its memory is free again when no tensor, and no view of one, refers to it."""
        size = math.prod(shape) * dtype.itemsize
        with self._lock:
            free = next((i for i, (b, user) in enumerate(self._buffers) if user() is None and len(b) >= size), None)
            if free is None:
                buffer = np.empty(size + size // 4, np.uint8)  # with room for a batch that is a little larger
                del self._buffers[: max(len(self._buffers) + 1 - _KEPT, 0)]
            else:
                buffer, _ = self._buffers.pop(free)
            user = buffer[:size].view(dtype).reshape(shape)
            self._buffers.append((buffer, weakref.ref(user)))
        return torch.from_numpy(user)  # refers to ``user`` as long as its memory is used
