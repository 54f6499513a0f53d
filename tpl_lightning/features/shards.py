"""Features of finished videos on disk, one shard per process, until all are there and become a cache.

A shard is a file of numbers and a journal with one line of JSON per finished video. A line is written after its
numbers, so whatever a killed process leaves is either complete or ignored. Processes write to shards of their own and
read those of all.
"""

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.video import VideoClock

__all__ = ["Features", "ShardWriter", "read_shards", "shard_folder"]


@dataclass(frozen=True)
class Features:
    """Where the features of a finished video are, and what its rows are."""

    path: Path
    offset: int
    shape: tuple[int, int]
    crc: int
    fps: float

    def read(self) -> np.ndarray:
        """Return the features (T, F), float32.

        Raises:
            UserError: if they are not those that were written.
        """
        return self._data()[0].reshape(self.shape)

    def read_rows(self) -> tuple[VideoClock, np.ndarray]:
        """Return when each row is shown, and the frame (T,) of the file that it is."""
        _, times, frames = self._data()
        return VideoClock(times), frames

    def _data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        size = _size(*self.shape)
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(size)
        if zlib.crc32(data) != self.crc:
            raise UserError(
                f"{self.path}: the features at byte {self.offset} are damaged; delete it and run the command again."
            )
        times, frames = size - 16 * self.shape[0], size - 8 * self.shape[0]
        return (
            np.frombuffer(data[:times], dtype="<f4"),
            np.frombuffer(data[times:frames], dtype="<f8"),
            np.frombuffer(data[frames:], dtype="<i8"),
        )


def _size(rows: int, columns: int) -> int:
    """Return the bytes of the features, and of the time and the frame of each row."""
    return 4 * rows * columns + 16 * rows


def shard_folder(out: str | Path) -> Path:
    """Return the folder of the shards of a cache: ``<out>.shards`` beside it."""
    out = Path(out)
    return out.with_name(f"{out.name}.shards")


class ShardWriter:
    """Add features of finished videos to a process's shard; what an earlier process left there stays.

    Args:
        folder: folder of all shards.
        rank: number of the process.

    Raises:
        UserError: if another process is writing this shard.
    """

    def __init__(self, folder: str | Path, rank: int) -> None:
        """Open the shard and cut off what is incomplete."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self._journal_path = folder / f"shard-{rank}.f32", folder / f"shard-{rank}.jsonl"
        self._data = self.path.open("ab")
        _lock(self._data.fileno(), self.path)
        lines = _complete_lines(self._journal_path, self.path)
        end = max((_end(line) for line in lines if "rows" in line), default=0)
        self._data.truncate(end)
        self._data.seek(end)
        temporary = self._journal_path.with_suffix(".partial")
        temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        temporary.replace(self._journal_path)
        self._journal = self._journal_path.open("a", encoding="utf-8")

    def __enter__(self) -> "ShardWriter":
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the shard."""
        self._data.close()
        self._journal.close()

    def append(self, key: str, features: np.ndarray, *, fps: float, clock: VideoClock, frames: np.ndarray) -> None:
        """Add the features (T, F) of a video, with when each row is shown and the frame (T,) of the file that it is."""
        data = b"".join(
            np.ascontiguousarray(values, dtype=kind).tobytes()
            for values, kind in ((features, "<f4"), (clock.times_s, "<f8"), (frames, "<i8"))
        )
        offset = self._data.tell()
        self._data.write(data)
        self._data.flush()
        os.fsync(self._data.fileno())
        self._write(
            {
                "key": key,
                "offset": offset,
                "rows": features.shape[0],
                "columns": features.shape[1],
                "crc": zlib.crc32(data),
                "fps": fps,
            }
        )

    def fail(self, key: str, message: str) -> None:
        """Note that a video could not be embedded."""
        self._write({"key": key, "failed": message})

    def _write(self, line: Mapping[str, Any]) -> None:
        self._journal.write(json.dumps(line) + "\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())


def read_shards(folder: str | Path) -> tuple[dict[str, Features], dict[str, str]]:
    """Read the journals of all shards.

    Args:
        folder: folder of the shards.

    Returns:
        Features by the key of the video, and messages of videos that could not be embedded (and have not been since).
    """
    done: dict[str, Features] = {}
    failed: dict[str, str] = {}
    for journal in sorted(Path(folder).glob("shard-*.jsonl")):
        path = journal.with_suffix(".f32")
        for line in _complete_lines(journal, path):
            if "failed" in line:
                failed[line["key"]] = line["failed"]
            else:
                shape = (line["rows"], line["columns"])
                done[line["key"]] = Features(path, line["offset"], shape, line["crc"], line["fps"])
    return done, {key: message for key, message in failed.items() if key not in done}


def _complete_lines(journal: Path, data: Path) -> list[dict[str, Any]]:
    if not journal.is_file() or not data.is_file():
        return []
    size, lines = data.stat().st_size, []
    for text in journal.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        try:
            line = json.loads(text)
        except ValueError:
            continue  # the process was killed while it wrote this
        # Lines of an earlier version, without the times, are made anew.
        if text.endswith("\n") and ("failed" in line or ("native_fps" not in line and _end(line) <= size)):
            lines.append(line)
    return lines


def _end(line: Mapping[str, Any]) -> int:
    """Return the byte behind the numbers of a line."""
    return int(line["offset"]) + _size(line["rows"], line["columns"])


def _lock(descriptor: int, path: Path) -> None:
    """Keep a second process with the same rank out; the lock ends with the process."""
    try:
        import fcntl
    except ImportError:  # Windows: no lock
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UserError(
            f"{path}: another process is writing it; wait for it, or give each process a RANK of its own."
        ) from error
