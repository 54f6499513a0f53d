"""Which files are a run's videos, and what new ones show, by their names and folders."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tpl_lightning.datasets import SIGNALS
from tpl_lightning.errors import UserError
from tpl_lightning.features import video_names
from tpl_lightning.files import canonical
from tpl_lightning.runs.run_video import RunFile
from tpl_lightning.video import collect_files, note_left_out, search_videos

if TYPE_CHECKING:
    from tpl_lightning.runs.videos import Run

AUTO = "auto"
"""In the place of an action: whichever a new video shows."""
UNNAMED = ""
"""In the place of an action that nothing names."""


def find_files(run: "Run", names: Sequence[str | Path], action: str | None) -> list[RunFile]:
    """Find video files, each with its row in the run or, of new ones, the action that its name says, maybe none.

    Args:
        run: The run.
        names: Files and folders; none: the folders where the run's own videos usually lie.
        action: Only this action; also what new videos show. ``auto``: nothing names the action of new ones.

    Raises:
        UserError: If a file is missing, or the action unknown, or there is none.
    """
    asked = action == AUTO and AUTO not in run.actions
    action = None if asked else action
    if action is not None:
        run.check_action(action)
    search = _Search(run)
    shows: dict[Path, tuple[str, int | None]] = {}
    others: list[Path] = []
    for path, root in (collect_files(names) if names else search.own_files()).items():
        row = search.row(path, root)
        if row is None and not names:
            continue
        if row is not None:
            shown = str(run.alignment.action[row])
        else:
            shown = UNNAMED if asked else search.action(path, root, action)
        if action is not None and shown != action:
            others.append(path)
        elif not any(path.name == other.name and path.samefile(other) for other in shows):
            shows[path] = (shown, row)
    if names:
        note_left_out({"of other actions": others} if others else {})
    if not shows:
        where = ", ".join(map(str, names)) or "the usual places"
        wanted = "" if action is None else f" of action {action!r}"
        raise UserError(f"{where}: no video{wanted} there; name video files or folders after {run.folder}.")
    return _named(run, shows)


def _named(run: "Run", shows: Mapping[Path, tuple[str, int | None]]) -> list[RunFile]:
    """Name files, each with its action and row: new ones after their folders too where that tells them apart."""
    new = {path: (action, Path(os.path.abspath(path))) for path, (action, index) in shows.items() if index is None}
    root = Path(os.path.commonpath([place.parent for _, place in new.values()])) if new else Path()
    names = dict(zip(new, video_names(list(new.values()), root), strict=True))
    found: dict[str, RunFile] = {}
    for path, (action, index) in shows.items():
        video_id = names[path] if index is None else str(run.alignment.video_id[index])
        if video_id in found:
            raise UserError(
                f"{path}: a second file of the name {video_id!r} beside {found[video_id].path}; give only one, or "
                "rename it."
            )
        found[video_id] = RunFile(video_id, action, path, index)
    return list(found.values())


class _Search:
    """Looks files up by their names, and the folders that they lie in."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.rows = {canonical(str(video)): i for i, video in enumerate(run.alignment.video_id)}
        self.actions = {canonical(action): action for action in run.actions}

    def row(self, path: Path, root: Path) -> int | None:
        """Return the row of a file: by folders and name where names occur twice, else by its name."""
        parts = [canonical(part) for part in Path(os.path.abspath(path)).parts]
        longer = ["/".join(parts[-count:]) for count in range(len(parts), 1, -1)]
        index = next((self.rows[name] for name in [*longer, canonical(path.stem)] if name in self.rows), None)
        if index is None:  # in another folder than the action's, if its name says which video it is
            named = [i for name, i in self.rows.items() if name.rpartition("/")[1:] == ("/", canonical(path.name))]
            index = named[0] if len(named) == 1 else None
        folder = self.folder_action(path, root)
        if index is not None and folder is not None and folder != self.run.alignment.action[index]:
            return None  # a clip of another action that happens to have the same name
        return index

    def folder_action(self, path: Path, root: Path) -> str | None:
        """Return the action that a file's folder names, or one above it up to ``root``: as given, then behind links."""
        given, top = Path(os.path.abspath(path)), Path(os.path.abspath(root))
        folders = [folder for folder in given.parents if folder == top or top in folder.parents]
        for folder in [*folders, path.resolve().parent]:
            if canonical(folder.name) in self.actions:
                return self.actions[canonical(folder.name)]
        return None

    def action(self, path: Path, root: Path, given: str | None) -> str:
        """Return what a new video shows: what its folder is named, what was given, all that there is, or nothing."""
        folder = self.folder_action(path, root)
        if folder is not None:
            return folder
        return given or (self.run.actions[0] if len(self.actions) == 1 else UNNAMED)

    def own_files(self) -> dict[Path, Path]:
        """Look where the data layer keeps or makes videos; the first place that has any wins."""
        data, beside = self.run.config.data, self.run.cache.path.parent
        roots = [beside / "videos" / self.run.cache.dataset, beside / self.run.cache.dataset, beside / "videos"]
        roots += [Path(data.root) / data.dataset, Path(data.root) / "videos" / data.dataset]
        for root in roots:
            files = search_videos(root)[0] if root.is_dir() else []
            if any(self.row(path, root) is not None for path in files):
                return dict.fromkeys(files, root)
        if self.run.cache.extractor.partition("+")[0] in SIGNALS:
            raise UserError(
                f"{self.run.folder}: a run of signals ({self.run.cache.extractor}), to which no video is attached; "
                "name video files that are called as the recordings, or see `tpl transfer RUN what=progress`."
            )
        raise UserError(
            f"{self.run.folder}: its video files are not beside the cache, nor in {data.root}; name files or folders "
            "after the run."
        )
