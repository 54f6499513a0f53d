"""Embedding long recordings: scene by scene, as a clip shows one scene.

What an extractor does to a whole clip, such as taking out the drift of its camera, has no meaning across a cut.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
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
    reader = VideoReader(Path(path), size=extractor.decode_sizes, fps=fps)
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
    for _, scene in groupby(_numbered(frames), key=itemgetter(0)):
        yield (frame for _, frame in scene)


def _numbered(frames: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each frame after the number of its scene."""
    number, count, last = 0, 0, None
    changes: deque[float] = deque(maxlen=_REMEMBERED)
    for frame in frames:
        thumbnail = _thumbnail(frame)
        if last is not None:
            change = float(np.abs(thumbnail - last).mean())
            usual = float(np.median(changes)) if changes else 0.0
            changes.append(change)
            if change > max(_CUT, _TIMES * usual) and count >= _SHORTEST:
                number, count = number + 1, 0
        last, count = thumbnail, count + 1
        yield number, frame


def _thumbnail(frame: np.ndarray) -> np.ndarray:
    """Return grey values in [0, 1] of every so many pixels, each the mean of a block."""
    step = max(max(frame.shape[:2]) // _PIXELS, 1)
    height, width = (size // step * step for size in frame.shape[:2])
    blocks = frame[:height, :width].reshape(height // step, step, width // step, step, -1)
    grey: np.ndarray = blocks.mean((1, 3, 4), dtype=np.float32) / 255
    return grey
