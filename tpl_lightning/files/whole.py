"""The one way in which files are written: whole or not at all, under a temporary name beside them, then renamed."""

import errno
import os
import re
import shutil
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_TEMPORARY = re.compile(r"\..*\.tpl-([0-9a-f]{8})-(\d+)(\.[^.]*)?", re.DOTALL)
_SPARE = 2**20  # bytes that shall be left
_WEEK = 7 * 86_400.0  # seconds after which nobody can be writing a file that has not changed


@cache
def _place() -> str:
    """Return what tells where process numbers are unique: this machine since its start, or this container."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(str(os.stat("/proc/self/ns/pid").st_ino))
    return f"{zlib.crc32(' '.join(parts).encode()):08x}"


def temporary_name(path: Path) -> Path:
    """Return a name of the same ending beside a path, hidden, of this process alone."""
    return path.with_name(f".{path.stem}.tpl-{_place()}-{os.getpid()}{path.suffix}")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside a file; what is written there takes the file's place once the block has ended.

    If the block raises, or writes nothing, all stays as it was. Where the file is itself a temporary one, whoever gave
    it its name sees to that.

    Args:
        path: The file; its folder is made if need be.
    """
    if _TEMPORARY.fullmatch(path.name):
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left(path.parent)
    part = temporary_name(path)
    try:
        yield part
        if part.exists():
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(path)
    finally:
        with suppress(OSError):  # of a read-only folder
            part.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with whole_file(path) as part:
        try:
            part.write_text(text, encoding="utf-8")
        except OSError as error:
            error.filename = str(path)  # the system names none where a write fails, and a temporary one otherwise
            raise


def check_room(path: Path, size: int) -> None:
    """Check that a file can be written, before HDF5 begins with it: on a full disk that crashes the whole process.

    Args:
        path: The file.
        size: Its bytes, roughly.

    Raises:
        OSError: If the disk has no room for it, as the system would say.
    """
    if shutil.disk_usage(path.parent).free < size + _SPARE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@cache
def remove_left(folder: Path) -> None:
    """Remove what killed processes have left half written in a folder; a process looks once."""
    with suppress(OSError):
        for name in os.listdir(folder):
            found = _TEMPORARY.fullmatch(name)
            if found is not None and _is_left(folder / name, found[1], int(found[2])):
                path = folder / name
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _is_left(path: Path, place: str, process: int) -> bool:
    if place != _place():
        return time.time() - path.stat().st_mtime > _WEEK
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False  # of another user
    return False
