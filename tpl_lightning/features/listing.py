"""The videos of a folder, or of a list in a CSV file."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from tpl_lightning.data import SPLITS
from tpl_lightning.errors import UserError
from tpl_lightning.features.annotating import annotate_each, choose_splits, video_names
from tpl_lightning.features.clips import Clip
from tpl_lightning.labels import (
    Annotations,
    PhaseSpans,
    TableRow,
    numbered_phases,
    read_annotations,
    read_fps,
    read_table,
    spans_of_labels,
)
from tpl_lightning.video import VIDEO_EXTENSIONS, find_videos, is_video, left_out_text, note_left_out


def clips_of_folder(root: str | Path) -> list[Clip]:
    """List the videos ``<root>/<action>/.../<video>.<ext>``, with splits by :func:`choose_splits`.

    A video is named after its file, with its folders and ending too where that is not unique. What is left out is said.

    Raises:
        UserError: if there are no videos, or an action has only one.
    """
    root = Path(root)
    videos, left = find_videos(root)
    if not videos:
        endings, others = ", ".join(sorted(VIDEO_EXTENSIONS)), left_out_text(left)
        raise UserError(
            f"Expected videos <action>/<video>.<ext> (ext: {endings}) in {root}, but found none"
            + (f" ({others})." if others else ".")
        )
    note_left_out(left)
    counts = Counter(action for action, _ in videos)
    lonely = [action for action, count in counts.items() if count < 2]
    if lonely:
        raise UserError(
            f"Expected at least 2 videos of each action in {root}, but {', '.join(lonely)} has 1: "
            "add one or remove the folder."
        )
    return choose_splits(
        [Clip(name, action, "", path) for (action, path), name in zip(videos, video_names(videos, root), strict=True)]
    )


def read_list(path: str | Path) -> list[TableRow]:
    """Read a CSV list of files: columns ``path`` (from the list's folder) and ``action``, others optional.

    Returns:
        A dictionary per line; ``path`` is made absolute, empty fields are left out.

    Raises:
        UserError: if the file, a column, or a listed file is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"{path}: no such list of videos; give a CSV file with the columns path and action, or a folder."
        )
    columns, lines = read_table(path)
    missing = [name for name in ("path", "action") if name not in columns]
    if missing:
        raise UserError(f"{path}: expected the columns path and action, but {', '.join(missing)} is missing; add it.")
    rows = [TableRow({key: value for key, value in row.items() if value}, row.line) for row in lines]
    for row in rows:
        line = row.line
        if "path" not in row or "action" not in row:
            raise UserError(f"{path}: line {line}: expected a path and an action, but found {row}; mend the line.")
        row["path"] = str(path.parent / row["path"])
        if not Path(row["path"]).exists():
            raise UserError(f"{path}: line {line}: there is no file {row['path']}; paths start at the list's folder.")
        if row.get("split", "train") not in SPLITS:
            raise UserError(
                f"{path}: line {line}: expected a split out of {', '.join(SPLITS)}, but got {row['split']!r}."
            )
    if not rows:
        raise UserError(f"{path}: expected at least one video, but the list is empty.")
    return rows


def clips_of_list(path: str | Path) -> tuple[list[Clip], dict[str, list[str]]]:
    """Read the videos of a CSV list.

    Columns: ``path`` (a video file or a folder of images), ``action``; optional ``video_id``, ``split``, ``fps`` (of
    images) and ``labels``: a file of annotations (:func:`read_annotations`), a .npy or .txt file of one phase index per
    frame, or the frames of the key events, as in ``11;23;44``.

    Returns:
        The clips, and the names of each action's phases.

    Raises:
        UserError: if something is missing or inconsistent; names the line.
    """
    rows = read_list(path)
    ids = video_names([(row["action"], Path(row["path"])) for row in rows], Path(path).parent)
    clips: list[Clip] = []
    named: dict[str, Annotations] = {}
    counts: list[tuple[str, int]] = []
    for row, default in zip(rows, ids, strict=True):
        source = Path(row["path"])
        clip = Clip(
            row.get("video_id", default),
            row["action"],
            row.get("split", ""),
            source,
            kind="images" if source.is_dir() else "video",
            image_fps=read_fps(row.get("fps", "30"), Path(path), row.line),
        )
        file = Path(path).parent / row.get("labels", "")
        if "labels" in row and file.suffix.lower() in (".json", ".csv", ".tsv", ".eaf"):
            named[clip.video_id] = read_annotations(file)
        elif "labels" in row:
            phases = _numbered(row["labels"], file, Path(path), row.line)
            clip = replace(clip, phases=phases)
            counts.append((clip.action, 1 + max(phase for _, _, phase in phases.spans)))
        if not source.is_dir() and not is_video(source):
            endings = ", ".join(sorted(VIDEO_EXTENSIONS))
            raise UserError(f"{path}: line {row.line}: {source} is no video by its ending; there are: {endings}.")
        clips.append(clip)
    return annotate_each(choose_splits(clips), named, numbered_phases(counts))


def _numbered(text: str, file: Path, listed: Path, line: int) -> PhaseSpans:
    """Phases by number: of a file with one per frame, or between the frames of key events."""
    try:
        if file.suffix.lower() in (".npy", ".txt") and file.is_file():
            values = np.load(file, allow_pickle=False) if file.suffix.lower() == ".npy" else np.loadtxt(file)
            if values.ndim != 1 or not np.array_equal(values, np.round(values)) or not (values >= 0).any():
                raise ValueError(f"{file} does not hold one phase index per frame")
            return spans_of_labels(values.astype(np.int64))
        bounds = [0.0, *(float(value) for value in text.split(";")), float("inf")]
        if bounds != sorted(bounds):
            raise ValueError(f"events {text} do not rise")
    except (ValueError, OSError) as error:
        raise UserError(
            f"{listed}: line {line}: expected labels to be a .json, .csv, .eaf, .npy or .txt file, or frames of key "
            f"events such as 11;23;44, but got {text!r} ({error}); mend the line."
        ) from error
    return PhaseSpans(tuple((a, b, k) for k, (a, b) in enumerate(pairwise(bounds))), "frames")
