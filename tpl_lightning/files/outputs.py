"""The one guard of what a command writes: nothing that it reads, and nothing that somebody else has made.

Each folder that a command writes into has a manifest, a line for every file that was made there: its name, the command,
its size and a digest. So a command that is run again may replace its own output, but not what has been changed since.
"""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tpl_lightning.errors import FileError, UserError, first_line
from tpl_lightning.files.whole import remove_left, temporary_name, whole_file

MANIFEST = ".tpl-outputs.jsonl"
"""Name of the manifest of a folder."""


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from all others whatever its names and links are; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _digest(path: Path) -> str:
    found = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _entries(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a folder's manifest; one that a killed process left half written is no line."""
    found = []
    with suppress(OSError, UnicodeDecodeError):
        for line in (folder / MANIFEST).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
    return [entry for entry in found if isinstance(entry, dict)]


def made_here(folder: Path) -> dict[tuple[str, int], str]:
    """Return name and size of the files that commands have made in a folder, each with its command."""
    return {(str(e.get("file")), int(e.get("size", -1))): str(e.get("command")) for e in _entries(folder)}


def _refused(target: str | Path, why: str, kind: str = "PATH") -> UserError:
    return UserError(f"{target}: {why}; give another out={kind}.")


@contextmanager
def _written(target: Path, kind: str) -> Iterator[None]:
    """Say that something cannot be written where the system says so."""
    try:
        yield
    except UserError:  # of what the block reads
        raise
    except OSError as error:
        raise FileError(f"{target}: cannot be written ({first_line(error)}); give another out={kind}.") from error


class Outputs:
    """What a command writes.

    Args:
        command: Its name, as in ``sync``.
        inputs: The files that it reads; None is left out.
    """

    def __init__(self, command: str, inputs: Iterable[str | Path | None] = ()) -> None:
        """Look at the inputs."""
        self._command = command
        self._inputs = {_identity(Path(path)): path for path in inputs if path is not None}
        self._inputs.pop(None, None)
        self._checked: set[Path] = set()

    def refuse_input(self, target: str | Path) -> None:
        """Check that a file to be written is not one that is read.

        Raises:
            UserError: If it is, under whatever name or link.
        """
        source = self._inputs.get(_identity(Path(target)))
        if source is not None:
            raise _refused(target, f"is {source}, which this command reads and must not replace")

    def check(self, targets: Iterable[str | Path]) -> None:
        """Check files that are about to be written; to be called before any work.

        Raises:
            UserError: If one of them is an input, or is there and was not made by this command.
        """
        for target in map(Path, targets):
            self.refuse_input(target)
            if target.is_dir():
                raise _refused(target, "is a folder")
            for folder in target.parents:
                if folder.is_file():
                    raise _refused(target, f"cannot be written ({folder} is a file)")
            if os.path.lexists(target) and (found := self._why_foreign(target)):
                raise _refused(target, f"there is such a file, and {found} (to replace it, remove it first)")
            self._checked.add(target)

    def _why_foreign(self, target: Path) -> str:
        """Return why a file is not this command's to replace; empty if it is."""
        own = [e for e in _entries(target.parent) if e.get("file") == target.name and e.get("command") == self._command]
        if any(e.get("size") == _size(target) for e in own) and _digest(target) in [e.get("digest") for e in own]:
            return ""
        return "it has been changed since" if own else "this command has not made it"

    @contextmanager
    def writing(self, target: str | Path) -> Iterator[Path]:
        """Yield a temporary name of the same ending beside a file; what is written there takes the file's place.

        Raises:
            UserError: As :meth:`check`, if that was not called; or if it cannot be written there.
        """
        target = Path(target)
        if target not in self._checked:
            self.check([target])
        with _written(target, "PATH"), whole_file(target) as part:
            yield part
            if part.exists():  # there was something to write
                # Noted first: a file that a killed process leaves behind is known as ours.
                self._note(target.parent, {target.name: part})

    @contextmanager
    def writing_folder(self, target: Path) -> Iterator[Path]:
        """Yield a temporary folder beside one; once it is complete it takes the folder's place.

        Raises:
            UserError: As :meth:`check_folder`; or if it cannot be written there.
        """
        self.check_folder(target)
        target = target.resolve()  # a link stays, and what it leads to is replaced
        part, old = (temporary_name(target.with_name(f"{target.name}.{kind}")) for kind in ("part", "old"))
        try:
            with _written(target, "FOLDER"):
                part.mkdir(parents=True)
                yield part
                files = {path.relative_to(part).as_posix(): path for path in part.rglob("*") if path.is_file()}
                self._note(part, files)
                if target.exists():
                    target.rename(old)
                part.rename(target)
                remove_left(target.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)

    def check_folder(self, target: Path) -> None:
        """Check a folder that is about to be replaced as a whole.

        Raises:
            UserError: If it holds an input, or anything that was not made by this command.
        """
        if not os.path.lexists(target):
            return
        here = Path.cwd()
        if target.resolve() in (here, *here.parents):
            raise _refused(target, "is the folder that you are in, or holds it", "FOLDER")
        if not target.is_dir():
            raise _refused(target, "there is something else there already", "FOLDER")
        made = {key for key, command in made_here(target).items() if command == self._command}
        for path in sorted(target.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                continue
            self.refuse_input(path)
            name = path.relative_to(target).as_posix()
            if name != MANIFEST and (name, _size(path)) not in made:
                raise _refused(target, f"there is something else there already ({name})", "FOLDER")

    def write_bytes(self, target: str | Path, content: bytes) -> Path:
        """Write a file; see :meth:`writing`."""
        with self.writing(target) as part:
            part.write_bytes(content)
        return Path(target)

    def write_text(self, target: str | Path, content: str) -> Path:
        """Write a UTF-8 text file; see :meth:`writing`."""
        return self.write_bytes(target, content.encode(errors="backslashreplace"))

    def write_csv(self, target: str | Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
        """Write a CSV file with a header; see :meth:`writing`."""
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        return self.write_text(target, buffer.getvalue())

    def _note(self, folder: Path, files: dict[str, Path]) -> None:
        """Add files, by the names that they will have, to the manifest of a folder."""
        known = _entries(folder)
        new = [
            {"file": name, "command": self._command, "size": _size(path), "digest": _digest(path)}
            for name, path in files.items()
        ]
        lines = [json.dumps(entry) + "\n" for entry in new if entry not in known]
        if lines:
            with (folder / MANIFEST).open("a", encoding="utf-8") as file:
                file.write("".join(lines))


def _size(path: Path) -> int:
    return path.lstat().st_size if path.is_symlink() else path.stat().st_size
