"""Embedding long recordings: scene by scene, as a clip shows one scene.

What an extractor does to a whole clip, such as taking out the drift of its camera, has no meaning across a cut.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.features.base import Extractor
from tpl_lightning.video import VideoClock, VideoReader

_PIXELS = 24  # of a thumbnail, along the longer side
_CUT = 0.08  # mean difference of thumbnails in [0, 1]; of a person who moves before a camera it is about .01
_TIMES = 6.0  # as much as the usual difference of neighbours, or more
_REMEMBERED = 24  # differences that say what is usual
_SHORTEST = 8  # frames of a scene


def embed_recording(
    path: str | Path,
    extractor: Extractor,
    *,
    fps: float | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[np.ndarray, VideoClock]:
    """Embed a recording, streaming its frames; the same as ``embed_video`` where there is no cut.

    Args:
        path: The video file.
        extractor: A fitted extractor.
        fps: Frames per second to resample to; None takes all frames as they are.
        advance: Told of frames as they are embedded.

    Returns:
        Embeddings (T, C), float32, and when each row is shown.

    Raises:
        UserError: If the file cannot be decoded or has fewer than two frames.
    """
    reader = VideoReader(Path(path), size=extractor.decode_size, fps=fps)
    parts = [extractor(scene) for scene in scenes(_counted(reader, advance))]
    if sum(map(len, parts)) < 2:
        raise UserError(f"Expected at least 2 frames in {path}, but found {sum(map(len, parts))}.")
    return np.concatenate(parts), reader.clock


def _counted(frames: Iterable[np.ndarray], advance: Callable[[int], None]) -> Iterator[np.ndarray]:
    for frame in frames:
        yield frame
        advance(1)


def scenes(frames: Iterable[np.ndarray]) -> Iterator[Iterator[np.ndarray]]:
    """Yield the frames of each scene; one must be read before the next is asked for."""
    for _, scene in groupby(frames, _SceneNumber()):
        yield scene


class _SceneNumber:
    """Called with each frame in order, returns the number of its scene."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._changes: deque[float] = deque(maxlen=_REMEMBERED)
        self._number = self._count = 0

    def __call__(self, frame: np.ndarray) -> int:
        thumbnail = _thumbnail(frame)
        if self._last is not None:
            change = float(np.abs(thumbnail - self._last).mean())
            usual = float(np.median(self._changes)) if self._changes else 0.0
            self._changes.append(change)
            if change > max(_CUT, _TIMES * usual) and self._count >= _SHORTEST:
                self._number, self._count = self._number + 1, 0
        self._last, self._count = thumbnail, self._count + 1
        return self._number


def _thumbnail(frame: np.ndarray) -> np.ndarray:
    """Return grey values in [0, 1] of every so many pixels, each the mean of a block."""
    step = max(max(frame.shape[:2]) // _PIXELS, 1)
    height, width = (size // step * step for size in frame.shape[:2])
    blocks = frame[:height, :width].reshape(height // step, step, width // step, step, -1)
    grey: np.ndarray = blocks.mean((1, 3, 4), dtype=np.float32) / 255
    return grey
