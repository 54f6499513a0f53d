"""Scores on embeddings, aligned and as they are: phase accuracy and Kendall's tau."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.votes import CHUNK, batches, padded
from tpl_lightning.functional import length_mask, resample, resample_nearest, within_ends
from tpl_lightning.metrics import KendallsTau, PhaseAccuracy

__all__ = ["embedding_scores"]

# Kendall's tau compares each video of an action with each: of splits that are larger, so many of an action are taken.
_LARGE, _OF_AN_ACTION = 2000, 20


def _embedding_batches(
    alignment: Alignment,
    videos: VideoSet,
    features: Callable[[np.ndarray], np.ndarray],
    keep: np.ndarray,
) -> Iterator[tuple[dict[str, Tensor], ...]]:
    """Yield padded embeddings and labels of the kept videos: on the prototype timeline, and on their own."""
    kept, start = np.flatnonzero(keep), 0
    for batch in batches(alignment, videos, keep):
        rows = kept[start : start + CHUNK]
        start += CHUNK
        parts = [features(videos.read(i)) for i in rows]
        lengths, source = batch["lengths"], batch["source_position"]
        embeddings = padded(parts, fill=0.0)
        common = {"action": batch["action"], "video_index": torch.from_numpy(rows)}
        own = {"embeddings": embeddings, "labels": batch["labels"], "lengths": lengths, **common}
        labels = resample_nearest(batch["labels"], source, lengths).where(within_ends(source), -1)
        aligned = resample(embeddings, source, lengths)
        shown = {"embeddings": aligned, "labels": labels, "lengths": batch["prototype_length"]}
        yield {**_without_gaps(shown, within_ends(source)), **common}, own


def _without_gaps(aligned: dict[str, Tensor], there: Tensor) -> dict[str, Tensor]:
    """Return videos on the prototype timeline without the points before and behind them, where they have no frame.

    Args:
        aligned: ``embeddings`` (n, P, K), ``labels`` (n, P) and ``lengths`` (n,).
        there: (n, P) at which points they have one; in one piece, and beyond ``lengths`` of no interest.
    """
    there = there & length_mask(aligned["lengths"], there.shape[1])
    if bool((there.sum(1) == aligned["lengths"]).all()):
        return aligned
    count, first = there.sum(1).clamp(min=1), there.int().argmax(1)
    index = (first.unsqueeze(1) + torch.arange(there.shape[1])).clamp(max=there.shape[1] - 1)
    embeddings = aligned["embeddings"].gather(1, index.unsqueeze(-1).expand_as(aligned["embeddings"]))
    return {"embeddings": embeddings, "labels": aligned["labels"].gather(1, index), "lengths": count}


def _some(keep: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Return the mask of the kept videos; of many at most ``_OF_AN_ACTION`` of each action, evenly spread."""
    if keep.sum() <= _LARGE:
        return keep
    chosen = np.zeros(len(keep), dtype=bool)
    for name in np.unique(action[keep]):
        rows = np.flatnonzero(keep & (action == name))
        chosen[rows[np.linspace(0, len(rows) - 1, min(len(rows), _OF_AN_ACTION)).round().astype(int)]] = True
    return chosen


def embedding_scores(
    alignment: Alignment,
    videos: VideoSet,
    features: Callable[[np.ndarray], np.ndarray],
    splits: dict[str, np.ndarray],
    actions: list[str],
    *,
    raw: bool,
) -> dict[str, tuple[float, list[float]]]:
    """Return phase accuracy and Kendall's tau, on aligned and maybe on raw frames: overall, of each action.

    Of large splits those of a part of the videos.
    """
    size: dict[str, Any] = {"num_actions": len(actions), "sync_on_compute": False}
    size["num_channels"] = features(videos.read(0)).shape[1]
    sides = ("", "_raw") if raw else ("",)
    metrics: dict[str, PhaseAccuracy | KendallsTau] = {}
    for side in sides:
        metrics[f"test/phase_accuracy{side}"] = PhaseAccuracy(**size)
        metrics |= {f"{split}/kendall_tau{side}": KendallsTau(**size) for split in splits}
    for split, every in splits.items():
        keep = _some(every, videos.action)
        for both in _embedding_batches(alignment, videos, features, keep):
            for side, batch in zip(sides, both, strict=False):
                accuracy = metrics[f"test/phase_accuracy{side}"]
                (accuracy.update_train if split == "train" else accuracy.update)(**batch)  # type: ignore[union-attr,operator]
                metrics[f"{split}/kendall_tau{side}"].update(**{k: v for k, v in batch.items() if k != "labels"})
    scores = {}
    for name, metric in metrics.items():
        total, count = metric.totals()
        scores[name] = (float(total.sum() / count.sum()), (total / count).tolist())
    return scores
