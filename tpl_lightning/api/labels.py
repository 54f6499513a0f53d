"""Phases as callers from Python name them, whole numbers or texts, and their numbers within an action."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tpl_lightning.errors import UserError


def as_array(values: Any) -> Any:
    """Return a tensor as an array, of whatever device and whether or not a gradient is kept; all else as it is."""
    detach = getattr(values, "detach", None)
    return detach().cpu().float().numpy() if detach is not None else values


class Labels:
    """The phases of each action in order, as callers name them.

    Args:
        names: Action to the names of its phases in order.
        are_text: Whether callers see the names; else the numbers.
    """

    def __init__(self, names: Mapping[str, Sequence[str]], *, are_text: bool = False) -> None:
        """Keep the names."""
        self.names, self.are_text = {action: list(known) for action, known in names.items()}, are_text

    def read(self, labels: Any, actions: Sequence[str], lengths: Sequence[int]) -> list[np.ndarray]:
        """Return labels as numbers; new phases come behind those that are known, texts in order of their mean time.

        Args:
            labels: (L_i,) of each video; -1, or an empty text, is unlabelled, and so is a video whose labels are None.
            actions: Of each video.
            lengths: Frames of each video.
        """
        checked = _frame_labels(labels, lengths)
        are_text = checked[0].dtype.kind == "U"
        self.are_text |= are_text
        times: dict[tuple[str, str], list[float]] = {}
        for action, own in zip(actions, checked, strict=True):
            names = self.names.setdefault(action, [])
            if not are_text:
                names += [str(k) for k in range(len(names), int(own.max()) + 1)]
            for phase in set(own.tolist()) - {*names, ""} if are_text else ():
                mean = float(np.flatnonzero(own == phase).mean()) / max(len(own) - 1, 1)
                times.setdefault((action, phase), []).append(mean)
        for action, phase in sorted(times, key=lambda key: (np.mean(times[key]), key)):
            self.names[action].append(phase)
        if not are_text:
            return [own.astype(np.int16) for own in checked]
        number = {action: {"": -1, **{name: k for k, name in enumerate(own)}} for action, own in self.names.items()}
        return [
            np.array([number[action][phase] for phase in own.tolist()], dtype=np.int16)
            for action, own in zip(actions, checked, strict=True)
        ]

    def shown(self, numbers: np.ndarray, action: str) -> np.ndarray:
        """Return numbers as the caller names phases."""
        if not self.are_text:
            return numbers
        return np.array([*self.names.get(action, ()), ""])[numbers]  # the last for -1


def _frame_labels(labels: Any, lengths: Sequence[int]) -> list[np.ndarray]:
    """Return labels as arrays of texts or whole numbers, of one kind for all videos."""
    if isinstance(labels, str) or not hasattr(labels, "__len__") or len(labels) != len(lengths):
        count = len(labels) if hasattr(labels, "__len__") else repr(labels)
        raise UserError(f"Expected `labels` of {len(lengths)} videos, (L_i,) each, but got {count}.")
    checked = []
    for i, (own, length) in enumerate(zip(labels, lengths, strict=True)):
        values = np.full(length, -1) if own is None else np.asarray(as_array(own))
        values = values.astype(str) if values.dtype.kind == "O" else values
        if values.shape != (length,):
            raise UserError(f"labels: video {i} has {length} frames, but labels of shape {values.shape}.")
        is_number = values.dtype.kind in "iufb" and (values == np.round(values)).all()
        if values.dtype.kind != "U" and not (is_number and values.min() >= -1 and values.max() < 2**15):
            raise UserError(f"labels: expected whole numbers from -1 on, or texts, but video {i} has {values[:5]}.")
        checked.append(values)
    if any(values.dtype.kind == "U" for values in checked):  # of videos without labels beside those with texts
        return [values if values.dtype.kind == "U" else np.full(values.shape, "") for values in checked]
    return checked
