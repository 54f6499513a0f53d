"""Pouring: videos of hands pouring liquids (Sermanet et al., 2018), with phases by Dwibedi et al. (CVPR 2019).

Handed out as TFRecords with the frames as JPEG and a phase per frame (google-research/tcc).
"""

from pathlib import Path

import numpy as np

from tpl_lightning.datasets.importers.splits import split_of_name, without_val
from tpl_lightning.datasets.importers.video_tree import read_video_tree
from tpl_lightning.errors import UserError
from tpl_lightning.features import Clip, choose_splits
from tpl_lightning.files import iter_records
from tpl_lightning.labels import spans_of_labels

__all__ = ["read_pouring"]

_ACTION = "pouring"


def read_pouring(root: Path, annotations: Path | None = None) -> tuple[list[Clip], dict[str, list[str]]]:
    """Read ``*.tfrecord`` of tf.train.SequenceExample, the split in the file's name.

    Features: ``name``, optionally ``framelabels_string`` (names of the phases, comma-separated); per frame ``video``
    (an encoded image) and optionally ``frame_labels``.

    Args:
        root: folder of the files. Where there are videos ``<action>/<video>.mp4`` instead, these are read.
        annotations: phases of videos; TFRecords hold theirs.

    Returns:
        A clip per record, and the names of the phases.

    Raises:
        UserError: if there are no records, or one holds other data.
    """
    files = sorted(root.rglob("*.tfrecord*"))
    if not files:
        return read_video_tree(root, annotations)
    clips: list[Clip] = []
    names: list[str] = []
    count = 0
    for path in files:
        for record in iter_records(path):
            name, labels = record.context.get("name"), record.steps.get("frame_labels")
            if not isinstance(name, list) or not record.steps.get("video"):
                raise UserError(
                    f"{path}: expected `name` and `video` in the record at byte {record.offset}, "
                    f"but found {', '.join([*record.context, *record.steps]) or 'nothing'}."
                )
            numbers = np.array([int(step[0]) for step in labels]) if labels else None
            if numbers is not None:
                count = max(count, int(numbers.max()) + 1)
            listed = record.context.get("framelabels_string")
            names = listed[0].decode().split(",") if isinstance(listed, list) and listed else names
            clips.append(
                Clip(
                    name[0].decode(),
                    _ACTION,
                    split_of_name(path.name),
                    path,
                    kind="tfrecord",
                    offset=record.offset,
                    phases=None if numbers is None else spans_of_labels(numbers),
                )
            )
    if len(names) < count:
        names = [f"phase {number + 1}" for number in range(count)]
    return choose_splits(without_val(clips)), {_ACTION: names} if count else {}
