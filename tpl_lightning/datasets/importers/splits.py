"""Names of splits in data sets that are handed out."""

from collections.abc import Sequence
from dataclasses import replace

from tpl_lightning.features import Clip

__all__ = ["SPLIT_NAMES", "split_of_name", "without_val"]

SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def split_of_name(name: str) -> str:
    """Return the split that a file name tells, as ``val`` in ``pouring_val-0-of-1.tfrecord``; empty if none."""
    return next((split for split in ("train", "val", "test") if split in name.lower()), "")


def without_val(clips: Sequence[Clip]) -> list[Clip]:
    """Call the validation split test where there is no test split, as the papers on these data sets do."""
    if any(clip.split == "test" for clip in clips):
        return list(clips)
    return [replace(clip, split="test") if clip.split == "val" else clip for clip in clips]
