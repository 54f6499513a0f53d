"""Frames as extractors take them: RGB pictures (H, W, 3), uint8, so many at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from tpl_lightning.errors import UserError


def frame_batches(frames: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    """Yield the frames, ``size`` of them at a time.

    Raises:
        UserError: If one is not RGB in uint8.
    """
    iterator, count = iter(frames), 0
    while batch := list(islice(iterator, size)):
        for index, frame in enumerate(batch, count):
            if frame.ndim != 3 or frame.shape[-1] != 3 or frame.dtype != np.uint8:
                raise UserError(
                    f"Expected RGB frames of shape (H, W, 3) and type uint8, but got {frame.shape} and {frame.dtype} "
                    f"at frame {index}."
                )
        count += len(batch)
        yield batch
