"""Penn Action: 2326 sequences of 15 actions as folders of JPEG images (Zhang, Zhu, Derpanis, ICCV 2013).

It has no phases. Those of Dwibedi et al. ("Temporal Cycle-Consistency Learning", CVPR 2019) for 13 of the actions are
handed out as one .npy of phase indices per sequence, or as TFRecords; with them only labelled sequences are taken, as
in that paper and its followers.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tpl_lightning.datasets.importers.embedding_files import read_arrays
from tpl_lightning.datasets.importers.tcc import read_sequences, split_of_name, without_val
from tpl_lightning.errors import UserError, first_line
from tpl_lightning.features import Clip
from tpl_lightning.labels import PhaseSpans, numbered_phases, spans_of_labels

_IMAGE_FPS = 30.0  # the data set does not state a rate
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_penn_action(root: Path, annotations: Path | None = None) -> tuple[list[Clip], dict[str, list[str]]]:
    """Read ``frames/NNNN/*.jpg``, ``labels/NNNN.mat``, and phases.

    Args:
        root: the folder ``Penn_Action``.
        annotations: folder of phases, ``<split>/<action>/NNNN*.npy`` or ``*<split>*.tfrecord``; None looks for
            ``phase_labels`` in ``root``, without which sequences have no phases.

    Returns:
        A clip per sequence, named by its number, and the names of the phases (``phase 1`` ...).

    Raises:
        UserError: if folders or files are missing or cannot be read.
    """
    if annotations is None and (root / "phase_labels").is_dir():
        annotations = root / "phase_labels"
    phases = {} if annotations is None else _read_phases(annotations)
    found = [path for path in sorted((root / "frames").glob("*")) if path.is_dir()]
    folders = [path for path in found if not phases or path.name in phases]
    if not found:
        raise UserError(f"{root}: expected frames/NNNN/*.jpg and labels/NNNN.mat of Penn Action, but found none.")
    if not folders:
        raise UserError(f"{annotations}: expected phases of sequences in {root / 'frames'}, but found none of them.")
    clips = []
    for folder in folders:
        clip = _clip(folder, root / "labels" / f"{folder.name}.mat")
        split, spans = phases.get(folder.name, ("", None))
        clips.append(replace(clip, split=split or clip.split, phases=spans))
    names = numbered_phases((clip.action, clip.phases.num_phases) for clip in clips if clip.phases is not None)
    return without_val(clips), names


def _clip(folder: Path, labels: Path) -> Clip:
    from scipy.io import loadmat

    try:
        content = loadmat(labels, variable_names=["action", "train"])
        action, train = str(np.ravel(content["action"])[0]), int(np.ravel(content["train"])[0])
    except Exception as error:  # scipy's errors of damaged files have no class in common
        raise UserError(
            f"{labels}: expected a .mat file with `action` and `train`, but {first_line(error)}."
        ) from error
    # 1 is train, -1 test.
    split = "train" if train == 1 else "test"
    return Clip(folder.name, action, split, folder, kind="images", image_fps=_IMAGE_FPS)


def _read_phases(folder: Path) -> dict[str, tuple[str, PhaseSpans]]:
    """Split and phases of each sequence; phases may be given for another number of frames and are then stretched."""
    found: list[tuple[Path, str, str, np.ndarray]] = []
    for path in sorted(folder.rglob("*.npy")):
        inside = [part.lower() for part in path.relative_to(folder).parts]
        split = next((_SPLITS[part] for part in inside if part in _SPLITS), "")
        found.append((path, path.stem, split, read_arrays(path)[""]))
    for path in sorted(folder.rglob("*.tfrecord*")):
        split = split_of_name(path.name)
        found += [(path, name, split, np.array(own)) for name, own, _ in read_sequences(path, needs="frame_labels")]
    if not found:
        raise UserError(
            f"{folder}: expected phases NNNN*.npy or *.tfrecord, but found none; import without the folder."
        )
    phases = {}
    for path, name, split, labels in found:
        if labels.ndim != 1 or len(labels) == 0 or not np.array_equal(labels, np.round(labels)):
            kind = f"{labels.dtype} of shape {labels.shape}"
            raise UserError(f"{path}: expected one phase index per frame, but found {kind}.")
        phases[name[:4]] = (split, spans_of_labels(labels.astype(np.int64), unit="share"))
    return phases
