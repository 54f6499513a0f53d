"""Scores of features on the prototype timeline: phase accuracy and Kendall's tau."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.functional import resample, resample_nearest, within_ends
from tpl_lightning.functional.scores import VideoRows, kendall_tau_sums, phase_accuracy_sums

# Kendall's tau compares each video of an action with each: of splits that are larger, so many of an action are taken.
_LARGE, _OF_AN_ACTION = 2000, 20


def _some(keep: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Return the mask of the kept videos; of many at most ``_OF_AN_ACTION`` of each action, evenly spread."""
    if keep.sum() <= _LARGE:
        return keep
    chosen = np.zeros(len(keep), dtype=bool)
    for name in np.unique(action[keep]):
        rows = np.flatnonzero(keep & (action == name))
        chosen[rows[np.linspace(0, len(rows) - 1, min(len(rows), _OF_AN_ACTION)).round().astype(int)]] = True
    return chosen


def _on_prototype(source: np.ndarray, frames: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return a video's features (n, K) and labels (n,) at the prototype points where it has a frame.

    Args:
        source: T^theta at the prototype points, (L,).
        frames: (L_i, K).
        labels: (L_i,).
    """
    times, length = torch.from_numpy(source)[None], torch.tensor([len(frames)])
    there = within_ends(times[0])
    aligned, shown = resample(frames[None], times, length)[0], resample_nearest(labels[None], times, length)[0]
    if not there.any():  # a video without a frame on the timeline stands at its begin, without a label
        return aligned[:1], torch.tensor([-1])
    return aligned[there], shown[there]


def embedding_scores(
    alignment: Alignment,
    videos: VideoSet,
    features: Callable[[np.ndarray], np.ndarray],
    splits: dict[str, np.ndarray],
    *,
    raw: bool,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return phase accuracy and Kendall's tau on aligned frames, of large splits those of a part of the videos.

    Args:
        alignment: Rows in the order of ``videos``.
        videos: The aligned videos.
        features: Makes features (L, K) of the embeddings (L, C) of a video.
        splits: ``train`` and ``test`` to the masks (N,) of their videos.
        raw: Whether both are measured on the videos' own timeline, too; no alignment changes that.

    Returns:
        Name of the score to its sum over, and the number of, what is counted of each action, (A,) each.
    """
    num_actions = len(videos.actions)
    sides = {"": _on_prototype, "_raw": lambda _, frames, labels: (frames, labels)} if raw else {"": _on_prototype}
    num_channels = features(videos.read(0)).shape[1]
    rows: dict[str, VideoRows] = {}
    for split, every in splits.items():
        chosen = np.flatnonzero(_some(every, videos.action)).tolist()
        frames = [torch.from_numpy(features(videos.read(i))).float() for i in chosen]
        labels = [torch.from_numpy(videos.labels(i).astype(np.int64)) for i in chosen]
        for side, shown in sides.items():
            parts = [shown(alignment.source(i), *own) for i, *own in zip(chosen, frames, labels, strict=True)]
            rows[split + side] = VideoRows(
                frames=torch.cat([torch.zeros(0, num_channels), *(part for part, _ in parts)]),
                labels=torch.cat([torch.zeros(0, dtype=torch.int64), *(part for _, part in parts)]),
                lengths=torch.tensor([len(part) for part, _ in parts], dtype=torch.int64),
                action=torch.from_numpy(videos.action_index[chosen]),
            )
    scores = {}
    for side in sides:
        train, test = rows[f"train{side}"], rows[f"test{side}"]
        scores[f"test/phase_accuracy{side}"] = phase_accuracy_sums(train, test, num_actions=num_actions)
        scores[f"train/kendall_tau{side}"] = kendall_tau_sums(train, num_actions=num_actions)
        scores[f"test/kendall_tau{side}"] = kendall_tau_sums(test, num_actions=num_actions)
    return scores
