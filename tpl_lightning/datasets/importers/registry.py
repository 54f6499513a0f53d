"""Data sets as they are handed out, read into clips to embed; one module per layout.

Each importer says what tree it expects, and whether a folder holds it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tpl_lightning.datasets.importers.penn_action import read_penn_action
from tpl_lightning.datasets.importers.pouring import read_pouring
from tpl_lightning.datasets.importers.video_tree import read_video_tree
from tpl_lightning.features import Clip
from tpl_lightning.video import find_videos


@dataclass(frozen=True)
class Importer:
    """How a data set is read."""

    read: Callable[[Path, Path | None], tuple[list[Clip], dict[str, list[str]]]]
    """From the data set's folder, and that or the file of its annotations (None: where they are expected), to clips and
    the names of each action's phases. Raises UserError where the tree is another."""
    expected: str
    """The tree, in a line."""
    mark: str = ""
    """Pattern of the files by which a folder of this data set is told; empty: by videos."""

    def is_at(self, root: Path) -> bool:
        """Tell whether a folder looks like this data set."""
        if not root.is_dir():
            return False
        return any(True for _ in root.glob(self.mark)) if self.mark else bool(find_videos(root)[0])


_VIDEOS = "<action>/<video>.mp4, and optionally annotations.json, .csv or annotations/<video>.eaf"

IMPORTERS: dict[str, Importer] = {
    "penn_action": Importer(
        read_penn_action,
        "frames/NNNN/*.jpg and labels/NNNN.mat as released, and optionally phase_labels/<split>/<action>/NNNN*.npy",
        "frames/*/*.jpg",
    ),
    "pouring": Importer(read_pouring, "pouring_train-*.tfrecord and pouring_val-*.tfrecord as released", "*.tfrecord*"),
    "internet": Importer(read_video_tree, _VIDEOS),
    "genai": Importer(read_video_tree, _VIDEOS),
}
"""Importers by the name of the data set."""
