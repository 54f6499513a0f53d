"""Finding video files: one list of endings, one depth, and a word on what is left out."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tpl_lightning.errors import FileError, UserError
from tpl_lightning.files import made_here, one_line

# fmt: off
VIDEO_EXTENSIONS: frozenset[str] = frozenset({
    "3g2", "3gp", "asf", "avi", "divx", "dv", "f4v", "flv", "gif", "m2t", "m2ts", "m2v", "m4v", "mkv", "mov",
    "mp4", "mpe", "mpeg", "mpg", "mts", "mxf", "ogm", "ogv", "qt", "ts", "vob", "webm", "wmv",
})
# fmt: on
"""Name endings of the files that count as videos, in lower case."""

# What lies beside videos and is plainly meant to be something else is no surprise when it is left out.
_BESIDE = frozenset(
    {"csv", "eaf", "etf", "h5", "ini", "json", "md", "npy", "npz", "pfsx", "pt", "tsv", "txt", "yaml", "yml"}
)
_SOURCES = (None, "render", "find")  # nobody's; and rendered and found clips, which are made to be read
_NAMED = 3  # files that a note names


def is_video(path: Path) -> bool:
    """Tell whether a file is a video by its ending."""
    return path.suffix[1:].lower() in VIDEO_EXTENSIONS


def search_videos(root: str | Path) -> tuple[list[Path], dict[str, list[Path]]]:
    """List the videos below a folder, at any depth, links to folders included.

    Hidden files and folders are left out, and what a command of this package has made there, but clips to be read.

    Args:
        root: the folder.

    Returns:
        The videos, sorted, and what was left out: reason to files.

    Raises:
        UserError: if a folder cannot be read.
    """
    left: dict[str, list[Path]] = defaultdict(list)
    found = sorted(_videos_below(Path(root), frozenset(), {}, left))
    return found, dict(left)


def _videos_below(
    folder: Path, above: frozenset[tuple[int, int]], made: dict[tuple[Path, int], str], left: dict[str, list[Path]]
) -> Iterator[Path]:
    """Yield the videos below a folder, and note what is left out.

    Args:
        folder: the folder.
        above: devices and numbers of the folders that it lies in.
        made: paths and sizes of what commands have made, with the command; a command that makes a folder notes all of
            it at its top.
        left: reason to files; added to.
    """
    try:
        stat, inside = folder.stat(), sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror}); mend that, or name other folders.") from error
    own = stat.st_dev, stat.st_ino
    if own in above:
        return  # a link that leads back up
    made |= {(folder / name, size): command for (name, size), command in made_here(folder).items()}
    for path in inside:
        hidden = path.name.startswith(".")
        if path.is_dir():
            if not hidden:
                yield from _videos_below(path, above | {own}, made, left)
        elif not is_video(path):
            if not hidden and path.suffix[1:].lower() not in _BESIDE:
                left["no videos by their ending"].append(path)
        elif hidden:
            left["hidden"].append(path)
        elif not path.is_file():
            left["links to nothing"].append(path)
        elif (command := made.get((path, path.stat().st_size))) not in _SOURCES:
            left[f"made by tpl {command}"].append(path)
        else:
            yield path


def find_videos(root: str | Path) -> tuple[list[tuple[str, Path]], dict[str, list[Path]]]:
    """List the videos ``<root>/<action>/.../<video>.<ext>``.

    Args:
        root: folder with one folder per action, which may hold folders.

    Returns:
        Action and path of each video, sorted, and what was left out: reason to files.

    Raises:
        UserError: if there is no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"Expected a folder of videos <action>/<video>.mp4 at {root}, but there is none.")
    found, left = search_videos(root)
    loose = [path for path in found if path.parent == root]
    if loose:
        left = {"in no folder that names their action": loose, **left}
    return [(path.relative_to(root).parts[0], path) for path in found if path.parent != root], left


def left_out_text(left: Mapping[str, Sequence[Path]]) -> str:
    """Say in one line what was left out and why; empty where nothing was."""
    parts = []
    for reason, paths in left.items():
        names = ", ".join(path.name for path in paths[:_NAMED]) + (" ..." if len(paths) > _NAMED else "")
        parts.append(f"{len(paths)} {reason} ({names})")
    return one_line(f"files left out: {'; '.join(parts)}") if parts else ""


def note_left_out(left: Mapping[str, Sequence[Path]]) -> None:
    """Note on standard error what was left out and why."""
    if text := left_out_text(left):
        print(f"note: {text}", file=sys.stderr)


def check_video_file(path: Path) -> None:
    """Check a path that stands for a video.

    Raises:
        UserError: If it does not exist, or is no video by its ending.
    """
    if not path.is_file():
        raise FileError(f"{path}: no such video file or folder.")
    if not is_video(path):
        endings = ", ".join(sorted(VIDEO_EXTENSIONS))
        raise UserError(f"{path}: not a video by its ending; there are: {endings}.")


def collect_files(names: Sequence[str | Path]) -> dict[Path, Path]:
    """List video files: those named, and all below the folders named, each once, with the folder it was found in.

    Raises:
        UserError: If one does not exist, or is no video by its ending.
    """
    files: dict[Path, Path] = {}
    left: dict[str, list[Path]] = defaultdict(list)
    for path in map(Path, names):
        if not path.is_dir():
            check_video_file(path)
            files[path] = path.parent
            continue
        found, out = search_videos(path)
        files |= dict.fromkeys(found, path)
        for reason, paths in out.items():
            left[reason] += paths
    note_left_out(left)
    return files
