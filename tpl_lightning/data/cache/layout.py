"""What a cache file holds: its format's name, its datasets, and what their values must be. Writer and reader share it.

Format "tpl-embedding-cache" version 1; data/README.md describes it for those who write such files themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

FORMAT, VERSION = "tpl-embedding-cache", 1
SPLITS = ("train", "val", "test")
MOST_PHASES = 2**15
"""Labels are stored in 16 bits."""

_HALF_INFINITY, _MINUS_INFINITY = 0x7C00, 0xFC00  # in half precision


@dataclass(frozen=True)
class Column:
    """A dataset of a cache file, with a value or row for each video, frame or border between videos.

    Attributes:
        per: ``video``, ``frame`` or ``border``.
        kinds: NumPy's letters of the types that are read, or ``text``.
        dtype: In which it is written and served; None: several.
        missing: What stands for a value that is not known; None: it must be there.
        is_optional: Whether a dataset without known values is left out of a file.
    """

    name: str
    per: str
    kinds: str
    dtype: type | None
    missing: float | None = None
    is_optional: bool = False

    @property
    def num_dimensions(self) -> int:
        """Return 2 for the embeddings, 1 for all else."""
        return 2 if self.dtype is None else 1

    @property
    def in_words(self) -> str:
        """Return what it must be."""
        values = {"f": "floats", "text": "strings", "iu": "integers"}.get(self.kinds, "numbers")
        return f"{values} in {self.num_dimensions} dimension{'s' * (self.num_dimensions > 1)}"

    def filled(self, count: int) -> np.ndarray:
        """Return ``count`` values that are not known, (count,)."""
        return np.full(count, self.missing, self.dtype)

    def is_known(self, values: np.ndarray) -> bool:
        """Return whether some of the values are known."""
        assert self.missing is not None
        return bool((~np.isnan(values) if np.isnan(self.missing) else values != self.missing).any())


COLUMNS = {
    column.name: column
    for column in (
        Column("embeddings", "frame", "f", None),
        Column("offsets", "border", "iu", np.int64),
        Column("video_id", "video", "text", str),
        Column("action", "video", "text", str),
        Column("split", "video", "text", str),
        Column("fps", "video", "fiu", np.float32, missing=24.0),
        Column("file_bytes", "video", "iu", np.int64, missing=0, is_optional=True),
        Column("labels", "frame", "iu", np.int16, missing=-1, is_optional=True),
        Column("progress", "frame", "f", np.float32, missing=np.nan, is_optional=True),
        Column("frame_times", "frame", "f", np.float64, missing=np.nan, is_optional=True),
    )
}
"""The datasets by name."""


def value_faults(
    *,
    fps: float = 24.0,
    labels: np.ndarray | None = None,
    phases: int = 0,
    progress: np.ndarray | None = None,
    frame_times: np.ndarray | None = None,
) -> Iterator[str]:
    """Yield what is wrong with what a cache says of a video.

    Args:
        fps: Frames per second.
        labels: (L,) phase of each frame, -1 unlabelled.
        phases: How many phases of the action are named.
        progress: (L,) true progress; NaN before and behind the action.
        frame_times: (L,) seconds from the video's first frame.
    """
    if not 0 < fps < np.inf:
        yield f"expected frames per second above 0, but found {fps}"
    if labels is not None:
        phases = min(phases, MOST_PHASES)
        wrong = labels[(labels < -1) | (labels >= phases)]
        if len(wrong):
            yield f"expected labels -1..{phases - 1} ({phases} phases named), but found {int(wrong[0])}"
    if progress is not None:
        known = np.flatnonzero(~np.isnan(progress))
        acting = progress[known[0] : known[-1] + 1] if len(known) else np.full(1, np.nan)
        # A comparison with NaN is false, so it may not be in between.
        if not (acting[0] >= 0 and acting[-1] <= 1 and (np.diff(acting) >= 0).all()):
            yield "expected progress in [0, 1] that never falls"
    if frame_times is not None and not (
        np.isfinite(frame_times).all() and frame_times[0] >= 0 and (np.diff(frame_times) >= 0).all()
    ):
        yield "expected frame_times of at least 0 that never fall"


def all_finite(values: np.ndarray) -> bool:
    """Return whether there is no NaN or infinity; of half precision in a fraction of the time that NumPy takes.

    As integers, numbers of one sign are in order, infinity and NaN behind all others.
    """
    if values.dtype == np.float16:
        return bool(values.view(np.int16).max() < _HALF_INFINITY and values.view(np.uint16).max() < _MINUS_INFINITY)
    return bool(np.isfinite(values).all())


def writable(text: str) -> str:
    """Return text as HDF5 can hold it: UTF-8 without bytes that were none, and without zeros."""
    return text.encode(errors="replace").decode().replace("\0", "?")


def text_of(value: Any) -> str:
    """Return an attribute as text that can be written and hashed; R and MATLAB store arrays of one element."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    text = value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)
    return writable(text)  # bytes that were no UTF-8 come as half a character
