"""Commands whose disk is full, or cannot be written: one line, what was there stays, and they go on once there is room.

Usage: python -m tests.fuzz.no_room [--tries 3] [--seed 0] [--only sync]

Linux only: the folder is a small file system in memory, in a name space of its own. Each command of `tests.fuzz.kills`
runs with less room than it needs, and with the folder read-only.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.kills import CASES, SECONDS, Case, check_left, files, going_on, make_folder, results, start

PAGE = 4096  # bytes by which such a file system grants room
SIZE = 64 * 2**20


def fill(folder: Path, room: int) -> Path:
    """Leave a number of bytes."""
    filler = folder / ".filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(shutil.disk_usage(folder).free - room, PAGE))
    return filler


def run(folder: Path, arguments: Sequence[str]) -> tuple[int, list[str]]:
    """Return the exit code, and the lines of errors."""
    code = start(folder, arguments).wait(SECONDS)
    lines = (folder.parent / "log").read_text(errors="replace").splitlines()
    assert not any(line.startswith("Traceback") for line in lines), "\n".join(lines[-25:])
    return code, [line for line in lines if line.startswith("tpl: ")]


def refused(folder: Path, arguments: Sequence[str]) -> tuple[int, list[str]]:
    """Run a command that may fail for want of room; check that it says so in one line, and return code and lines."""
    code, lines = run(folder, arguments)
    # A sweep whose trials all fail for want of room is no command that fails: it says so in its table.
    assert code in (0, 2) or (code == 1 and arguments[0] == "sweep"), f"exit code {code}: {lines}"
    assert code == 0 or len([line for line in lines if "warning" not in line]) == 1, lines
    return code, lines


def one(folder: Path, template: Path, case: Case, tries: int, moments: random.Random) -> list[str]:
    """Run one command with too little room, and return a line for each try."""
    shutil.copytree(template, folder, dirs_exist_ok=True)
    before, free = files(folder), shutil.disk_usage(folder).free
    assert refused(folder, case.arguments)[0] == 0
    expected, need = results(folder, case), max(free - shutil.disk_usage(folder).free, 4 * PAGE)
    told = []
    rooms = [None, 0, *(moments.randrange(PAGE, need) for _ in range(tries))]
    for room in rooms:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(template, folder, dirs_exist_ok=True)
        if room is None:
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        else:
            filler = fill(folder, room)
        code, lines = refused(folder, case.arguments)
        told.append(f"{'read-only' if room is None else f'{room} bytes'}: exit code {code} {' '.join(lines)}")
        check_left(folder, before, case)
        if room is None:
            assert code == 2, "read-only, but written"
            assert files(folder) == before
            subprocess.run(["mount", "-o", f"remount,rw,size={SIZE}", folder], check=True)
        else:
            filler.unlink()
        code, lines = run(folder, going_on(folder, case))
        assert code == 0, f"after {told[-1]}: {lines}"
        found = results(folder, case)
        differ = [name for name in expected if found.get(name) != expected[name]]
        assert not differ, f"after {told[-1]}: {', '.join(differ)}: not as with room"
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all commands and print what they say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=3, help="amounts of room for each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="commands whose names hold this")
    options = parser.parse_args(arguments)
    if os.environ.get("_TPL_OWN_MOUNTS") != "1":
        os.environ["_TPL_OWN_MOUNTS"] = "1"
        given = [*(sys.argv[1:] if arguments is None else arguments)]
        os.execvp("unshare", ["unshare", "-rm", sys.executable, "-m", "tests.fuzz.no_room", *given])
    problems = 0
    with tempfile.TemporaryDirectory() as place:
        template = Path(place) / "template" / "w"
        template.mkdir(parents=True)
        make_folder(template)
        for name, case in CASES.items():
            if options.only not in name:
                continue
            folder = Path(place) / name / "w"
            folder.mkdir(parents=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=True)
            try:
                told = one(folder, template, case, options.tries, random.Random(f"{options.seed} {name}"))
                print(f"{name}: fine", *told, sep="\n   ", flush=True)
            except Exception as error:
                problems += 1
                print(f"{name}: {type(error).__name__} {error}", flush=True)
            subprocess.run(["umount", folder], check=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
