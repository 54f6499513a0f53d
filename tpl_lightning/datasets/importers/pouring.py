"""Pouring: videos of hands pouring liquids (Sermanet et al., 2018), with phases by Dwibedi et al. (CVPR 2019).

Handed out as TFRecords with the frames as JPEG and a phase per frame (google-research/tcc).
"""

from pathlib import Path

from tpl_lightning.datasets.importers.tcc import read_sequences, split_of_name, without_val
from tpl_lightning.datasets.importers.video_tree import read_video_tree
from tpl_lightning.features import Clip, choose_splits
from tpl_lightning.labels import numbered_phases, spans_of_labels

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
    for path in files:
        for name, labels, record in read_sequences(path, needs="video"):
            listed = record.context.get("framelabels_string")
            names = listed[0].decode().split(",") if isinstance(listed, list) and listed else names
            phases = None if labels is None else spans_of_labels(labels)
            split = split_of_name(path.name)
            clips.append(Clip(name, _ACTION, split, path, kind="tfrecord", offset=record.offset, phases=phases))
    numbered = numbered_phases((_ACTION, clip.phases.num_phases) for clip in clips if clip.phases is not None)
    if len(names) >= len(numbered.get(_ACTION, ())):
        numbered = dict.fromkeys(numbered, names)
    return choose_splits(without_val(clips)), numbered
