"""What Dwibedi et al. hand out (CVPR 2019): TFRecords of sequences with a phase per frame, the split in names."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.features import Clip
from tpl_lightning.files import Record, iter_records


def read_sequences(path: Path, *, needs: str) -> Iterator[tuple[str, np.ndarray | None, Record]]:
    """Yield name, phase of each frame, if any, and record of each sequence of a file.

    Args:
        path: A TFRecord file of tf.train.SequenceExample.
        needs: Feature per frame that each must have.

    Raises:
        UserError: If the file holds something else.
    """
    for record in iter_records(path):
        name, labels = record.context.get("name"), record.steps.get("frame_labels")
        if not isinstance(name, list) or not record.steps.get(needs):
            found = ", ".join([*record.context, *record.steps]) or "nothing"
            raise UserError(f"{path}: expected `name` and `{needs}` at byte {record.offset}, but found {found}.")
        yield name[0].decode(), np.array([int(step[0]) for step in labels]) if labels else None, record


def split_of_name(name: str) -> str:
    """Return the split that a name tells, as ``val`` in ``pouring_val-0-of-1.tfrecord``; empty if none."""
    return next((split for split in ("train", "val", "test") if split in name.lower()), "")


def without_val(clips: Sequence[Clip]) -> list[Clip]:
    """Call the validation split test where there is no test split, as the papers on these data sets do."""
    if any(clip.split == "test" for clip in clips):
        return list(clips)
    return [replace(clip, split="test") if clip.split == "val" else clip for clip in clips]
