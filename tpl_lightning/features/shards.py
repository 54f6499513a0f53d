"""Features of finished videos on disk, a file for each, until all are there and become a cache.

A file takes its name once it is whole, so a killed process leaves nothing that is half written. Processes write the
videos of their share and read those of all.
"""

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.files import whole_file, write_atomically
from tpl_lightning.video import VideoClock

MANIFEST = "manifest.json"
"""File in the folder that says what its videos are to become."""
_OLD = ("shard-*.jsonl", "shard-*.f32")  # of earlier versions
_MADE = ("*.npz", "*.failed", "rank-*.lock", MANIFEST, *_OLD)


@dataclass(frozen=True)
class VideoFeatures:
    """The features of a video and when its frames are shown."""

    features: np.ndarray
    """(T, F) float32."""
    times_s: np.ndarray
    """(T,) seconds of each row."""
    frames: np.ndarray
    """(T,) the frame of the file that each row is."""
    fps: float

    @property
    def clock(self) -> VideoClock:
        """When each row is shown."""
        return VideoClock(self.times_s)


class ShardFolder:
    """The folder ``<out>.shards`` beside a cache: ``<key>.npz`` of a video that is done, ``<key>.failed`` of another.

    Args:
        out: The cache.
    """

    def __init__(self, out: str | Path) -> None:
        """Nothing is read or written yet."""
        self.path = Path(f"{out}.shards")

    @contextmanager
    def locked(self, rank: int) -> Iterator[None]:
        """Keep a second process of the same rank out; the lock ends with the process.

        Raises:
            UserError: If there is one.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / f"rank-{rank}.lock"
        with path.open("w") as lock:
            try:
                import fcntl

                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except ImportError:  # Windows: no lock
                pass
            except OSError as error:
                raise UserError(
                    f"{path}: another process is writing these; wait for it, or give each process a RANK of its own."
                ) from error
            yield

    def drop_old(self) -> None:
        """Remove what an earlier version has left unfinished, and say so."""
        if self._unlink(_OLD):
            warnings.warn(
                f"{self.path}: an earlier version left features there unfinished; their videos are embedded anew.",
                stacklevel=3,
            )

    def add(self, key: str, found: VideoFeatures | str) -> int:
        """Keep the features of a video, or what is wrong with it; return how many frames there are."""
        if isinstance(found, str):
            write_atomically(self.path / f"{key}.failed", found)
            return 0
        with whole_file(self.path / f"{key}.npz") as part:
            np.savez(part, **vars(found))
        return len(found.frames)

    def read(self, key: str) -> VideoFeatures:
        """Return the features of a video.

        Raises:
            UserError: If they are not those that were written.
        """
        path = self.path / f"{key}.npz"
        try:
            with np.load(path) as stored:
                found = dict(stored)
            return VideoFeatures(**{**found, "fps": float(found["fps"])})
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: the features are damaged; delete it and run the command again.") from error

    def done(self) -> set[str]:
        """Return the keys of the videos that are done."""
        return {path.stem for path in self.path.glob("*.npz")}

    def failed(self) -> dict[str, str]:
        """Return what was wrong with the videos that could not be embedded, and have not been since."""
        done = self.done()
        paths = [path for path in self.path.glob("*.failed") if path.stem not in done]
        return {path.stem: path.read_text(encoding="utf-8") for path in paths}

    def remove(self) -> None:
        """Remove what was written here, and the folder where nothing else lies in it."""
        self._unlink(_MADE)
        with suppress(OSError):
            self.path.rmdir()

    def _unlink(self, patterns: tuple[str, ...]) -> int:
        """Remove files; return how many there were."""
        paths = [path for pattern in patterns for path in self.path.glob(pattern)]
        for path in paths:
            path.unlink(missing_ok=True)
        return len(paths)
