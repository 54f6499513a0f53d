"""Several cache files that are read as one: ``data.cache='embeddings/part-*.h5'``."""

import glob
import resource
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from tpl_lightning.data.cache.file import CacheFile
from tpl_lightning.data.cache.groups import State
from tpl_lightning.errors import FileError, UserError

_OTHER_FILES = 256  # that a process opens: libraries, pipes to its workers


def find_files(pattern: str) -> list[Path]:
    """Return the file of a path, or those of a glob pattern where no file has just that name.

    Raises:
        FileError: If no file fits the pattern.
    """
    if Path(pattern).is_file() or not glob.has_magic(pattern):
        return [Path(pattern)]
    files = sorted(glob.glob(pattern, recursive=True))
    if not files:
        raise FileError(
            f"{pattern}: no embedding cache fits this pattern; give existing files with data.cache=PATTERN."
        )
    _allow_open_files(2 * len(files) + _OTHER_FILES)  # one for each, and one more while it is looked at
    return [Path(file) for file in files]


def _allow_open_files(count: int) -> None:
    """Let this process open that many files, as far as the system allows; 256 and 1,024 are usual at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def check_alike(pattern: Path, files: Sequence[CacheFile]) -> None:
    """Check that files belong together.

    Raises:
        UserError: If they are of several data sets or extractors, or a video is in two of them; names the files.
    """
    first, seen, phase_names = files[0], dict[str, CacheFile](), dict[str, list[str]]()
    state = first.extractor_state() if len(files) > 1 else None
    for file in files:
        for name in ("dataset", "extractor", "num_channels", "feature_groups"):
            one, other = getattr(first, name), getattr(file, name)
            if one != other:
                raise UserError(
                    f"{file.path}: {name} is {other!r}, but {one!r} in {first.path}; name files of one set with "
                    "data.cache=PATTERN."
                )
        if file is not first and not _same_state(state, file.extractor_state()):
            raise UserError(
                f"{file.path}: embedded with other parameters of {file.extractor!r} than {first.path}; embed all "
                "videos in one run (`tpl cache embed`), which may be shared among processes."
            )
        for action, names in file.phase_names.items():
            if phase_names.setdefault(action, names) != names:
                raise UserError(
                    f"{file.path}: the phases of {action!r} are {names}, but {phase_names[action]} in the files "
                    f"before it; make the caches of {pattern} anew with the same phases."
                )
        for video in file.video_id.tolist():
            if seen.setdefault(video, file) is not file:
                raise UserError(
                    f"{file.path}: video {video!r} is in {seen[video].path} as well; leave one of the files out of "
                    "data.cache=PATTERN."
                )


def _same_state(one: State | None, other: State | None) -> bool:
    if one is None or other is None:
        return one is other
    (arrays, parameters), (others, same) = one, other
    alike = arrays.keys() == others.keys() and all(np.array_equal(arrays[name], others[name]) for name in arrays)
    return alike and parameters == same
