"""Videos in folders by action, with annotations beside them: GenAI-MVS, the Internet Video set, anyone's."""

from pathlib import Path

from tpl_lightning.features import Clip, annotate, clips_of_folder
from tpl_lightning.labels import read_annotations


def read_video_tree(root: Path, annotations: Path | None = None) -> tuple[list[Clip], dict[str, list[str]]]:
    """Read ``<root>/<action>/<video>.<ext>`` and annotations.

    Args:
        root: folder with one folder per action.
        annotations: a .json, .csv or .eaf file, or a folder of .eaf files; None takes :func:`find_annotations`.

    Returns:
        The clips, and the names of each action's phases.

    Raises:
        UserError: if there are no videos, or annotations contradict them.
    """
    clips = clips_of_folder(root)
    found = annotations or find_annotations(root)
    return (clips, {}) if found is None else annotate(clips, read_annotations(found))


def find_annotations(root: Path) -> Path | None:
    """Return the annotations beside videos: ``annotations.json``, ``annotations.csv``, or ``annotations`` of .eaf."""
    for name in ("annotations.json", f"{root.name}_annotations.json", "annotations.csv"):
        if (root / name).is_file():
            return root / name
    folder = root / "annotations"
    return folder if folder.is_dir() and any(folder.rglob("*.eaf")) else None
