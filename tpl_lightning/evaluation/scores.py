"""Scores of an alignment: CBC, PLP, key-event spread, warp error; on embeddings phase accuracy and Kendall's tau."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.functional import length_mask, resample, resample_nearest, within_ends
from tpl_lightning.groupwise import chunks
from tpl_lightning.metrics import (
    CycleBackConsistency,
    KendallsTau,
    KeyEventSpread,
    PhaseAccuracy,
    PhaseLabelPropagation,
)

__all__ = ["Scores", "evaluate", "unmeasured", "voted_labels"]

# Kendall's tau compares each video of an action with each: of splits that are larger, so many of an action are taken.
_LARGE, _OF_AN_ACTION = 2000, 20
_CHUNK = 256  # videos scored at once; bounds the memory, changes no figure


@dataclass(frozen=True)
class Scores:
    """The figures of one alignment; NaN where nothing could be measured (no labels, no such split).

    Attributes:
        overall: Metric name (``train/cbc``, ``test/plp``, ``event_spread``, ``warp_error``; with features also
            ``test/phase_accuracy``, ``train/kendall_tau``, ``test/kendall_tau`` on aligned embeddings, and the same
            with ``_raw`` on the embeddings as they are) to value.
        per_action: Action to the same names.
        prototype_labels: Action to the (L,) labels of its prototype, -1 where no video voted.
    """

    overall: dict[str, float]
    per_action: dict[str, dict[str, float]]
    prototype_labels: dict[str, np.ndarray] = field(default_factory=dict)


def _padded(parts: list[np.ndarray], fill: float) -> Tensor:
    """Return arrays (L_i, ...) as one padded tensor (n, longest, ...)."""
    lengths = np.array([len(part) for part in parts])
    padded = np.full((len(parts), int(lengths.max()), *parts[0].shape[1:]), fill, dtype=parts[0].dtype)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate(parts)
    return torch.from_numpy(padded)


def _ballots(sources: Sequence[np.ndarray], videos: VideoSet, rows: np.ndarray) -> dict[str, Tensor]:
    """Return what some videos label the prototypes with, in the argument names of the metrics.

    Args:
        sources: T^theta at the prototype points, (L,), of each video.
        videos: N of them.
        rows: (n,) positions of those that vote.
    """
    code = {a: i for i, a in enumerate(videos.actions)}
    return {
        "labels": _padded([videos.labels(i).astype(np.int64) for i in rows], fill=-1),
        "lengths": torch.from_numpy(videos.lengths[rows]),
        "action": torch.tensor([code[str(videos.action[i])] for i in rows]),
        "source_position": _padded([sources[i] for i in rows], fill=2.0),
        "prototype_length": torch.tensor([len(sources[i]) for i in rows]),
    }


def _batches(alignment: Alignment, videos: VideoSet, keep: np.ndarray) -> Iterator[dict[str, Tensor]]:
    """Yield padded tensors of the kept videos, in the argument names of the metrics."""
    sources = [alignment.source(i) for i in range(len(alignment))]
    kept = np.flatnonzero(keep)
    for part in chunks(len(kept), _CHUNK):
        rows = kept[part]
        yield {"position": _padded([alignment.faced(i) for i in rows], fill=0.0), **_ballots(sources, videos, rows)}


def _warp_error(alignment: Alignment, videos: VideoSet, keep: np.ndarray) -> dict[str, float]:
    """Mean |recovered - true| progress per action after the best monotone map of the prototype timeline."""
    errors: dict[str, float] = {}
    for action in videos.actions:
        rows = np.flatnonzero(keep & (videos.action == action))
        pairs = [(alignment.position(i), videos.progress(i)) for i in rows.tolist()]
        # Idle frames have no progress.
        known = [(x[~np.isnan(y)], y[~np.isnan(y)]) for x, y in pairs if y is not None and not np.isnan(y).all()]
        if not known:
            errors[action] = math.nan
            continue
        from sklearn.isotonic import IsotonicRegression  # slow to import, and seldom needed

        x, y = (np.concatenate(part).astype(np.float64) for part in zip(*known, strict=True))
        recovered = IsotonicRegression(out_of_bounds="clip").fit_transform(x, y)
        bounds = np.cumsum([len(p) for p, _ in known])[:-1]
        errors[action] = float(np.mean([e.mean() for e in np.split(np.abs(recovered - y), bounds)]))
    return errors


def _embedding_batches(
    alignment: Alignment,
    videos: VideoSet,
    features: Callable[[np.ndarray], np.ndarray],
    keep: np.ndarray,
) -> Iterator[tuple[dict[str, Tensor], ...]]:
    """Yield padded embeddings and labels of the kept videos: on the prototype timeline, and on their own."""
    kept, start = np.flatnonzero(keep), 0
    for batch in _batches(alignment, videos, keep):
        rows = kept[start : start + _CHUNK]
        start += _CHUNK
        parts = [features(videos.read(i)) for i in rows]
        lengths, source = batch["lengths"], batch["source_position"]
        embeddings = _padded(parts, fill=0.0)
        common = {"action": batch["action"], "video_index": torch.from_numpy(rows)}
        own = {"embeddings": embeddings, "labels": batch["labels"], "lengths": lengths, **common}
        labels = resample_nearest(batch["labels"], source, lengths).where(within_ends(source), -1)
        aligned = resample(embeddings, source, lengths)
        shown = {"embeddings": aligned, "labels": labels, "lengths": batch["prototype_length"]}
        yield {**_without_gaps(shown, within_ends(source)), **common}, own


def _without_begun(batch: dict[str, Tensor]) -> Tensor:
    """Return labels (n, T) without the phase that a video is in where it misses the begin: nobody saw that begin."""
    labels, first = batch["labels"], batch["source_position"][:, :1]
    begun = (labels == labels[:, :1]) & (first < 0) & ~within_ends(first)
    return labels.where(~begun, -1)


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


def _embedding_scores(
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


def _stored_labels(prototypes: dict[str, np.ndarray], actions: list[str], max_length: int) -> Tensor:
    """Stack the labels of stored prototypes, (A, max_length), -1 past each end."""
    stacked = torch.full((len(actions), max_length), -1)
    for i, action in enumerate(actions):
        stacked[i, : len(prototypes[action])] = torch.from_numpy(prototypes[action])
    return stacked


def evaluate(
    alignment: Alignment,
    videos: VideoSet,
    *,
    prototypes: dict[str, np.ndarray] | None = None,
    features: Callable[[np.ndarray], np.ndarray] | None = None,
    raw: bool = True,
) -> Scores:
    """Score an alignment against the videos' labels.

    Args:
        alignment: Rows in the order of ``videos``.
        videos: The aligned videos; their ``split`` tells training (labels the prototypes) from test.
        prototypes: Labels (L,) of each action's prototype, made earlier; all videos are then new ones (test),
            whatever their split says.
        features: Makes features (L, K) of the embeddings (L, C) of a video, a fitted ``Preprocessor`` say; phase
            accuracy and Kendall's tau are measured on them. None: without these two.
        raw: Whether these two are measured on the videos' own timeline, too; no alignment changes that.

    Returns:
        All scores, over all videos and per action.
    """
    if list(alignment.video_id) != list(videos.video_id):
        raise ValueError("Expected the rows of `alignment` in the order of `videos`.")
    actions, size = videos.actions, _sizes(videos, int(alignment.prototype_length.max()))
    # All videos are here, on whichever rank this runs: nothing is to be joined with other ranks.
    alone: dict[str, Any] = {"sync_on_compute": False}
    cbc, plp = CycleBackConsistency(**size, **alone), PhaseLabelPropagation(**size, **alone)
    spread = KeyEventSpread(num_actions=size["num_actions"], num_phases=size["num_phases"], **alone)
    train, test = alignment.split == "train", alignment.split == "test"
    if prototypes is not None:
        train, test = np.zeros(len(alignment), dtype=bool), np.ones(len(alignment), dtype=bool)
        plp.set_prototype_labels(_stored_labels(prototypes, actions, size["max_length"]))
    for batch in _batches(alignment, videos, train):
        cbc.update(**batch)
        plp.update_prototype(**{k: v for k, v in batch.items() if k != "position"})
    for batch in _batches(alignment, videos, test):
        plp.update(**{k: v for k, v in batch.items() if k != "source_position"})
    for batch in _batches(alignment, videos, train | test):
        spread.update(batch["position"], _without_begun(batch), batch["lengths"], batch["action"])
    overall: dict[str, float] = {}
    per_action: dict[str, dict[str, float]] = {a: {} for a in actions}
    for name, metric in (("train/cbc", cbc), ("test/plp", plp), ("event_spread", spread)):
        overall[name] = float(metric.compute()) if metric.update_called else math.nan
        for action, value in zip(actions, metric.per_action().tolist(), strict=True):
            per_action[action][name] = value
    if features is not None:
        splits = {"train": train, "test": test}
        found = _embedding_scores(alignment, videos, features, splits, actions, raw=raw)
        for name, (value, values) in found.items():
            overall[name] = value
            for action, own in zip(actions, values, strict=True):
                per_action[action][name] = own
    errors = _warp_error(alignment, videos, train | test)
    for action, value in errors.items():
        per_action[action]["warp_error"] = value
    known = [value for value in errors.values() if not math.isnan(value)]
    overall["warp_error"] = float(np.mean(known)) if known else math.nan
    lengths = {str(a): int(n) for a, n in zip(alignment.action, alignment.prototype_length, strict=True)}
    return Scores(overall, per_action, _labels_of(plp, lengths))


def unmeasured(scores: Scores, videos: VideoSet) -> list[str]:
    """Return why scores are NaN, one sentence for each reason; warp errors need true progress, which few sets have."""
    is_labelled = np.array([videos.labels(i).max() >= 0 for i in range(len(videos))])
    reasons: dict[str, list[str]] = {}
    for name, value in scores.overall.items():
        if not math.isnan(value) or name == "warp_error":
            continue
        if name.startswith("test/") and not (videos.split == "test").any():
            reason = "there are no test videos"
        elif name.endswith(("kendall_tau", "kendall_tau_raw")):
            reason = "no action has two videos in this split"
        elif not is_labelled[videos.split == "train"].any():
            reason = "no training video has labels"
        elif name.startswith("test/") and not is_labelled[videos.split == "test"].any():
            reason = "no test video has labels"
        elif name == "event_spread":
            reason = "no phase begins within two videos of an action"
        else:
            reason = "the labels of training and test videos have no action, or no two phases, in common"
        reasons.setdefault(reason, []).append(name)
    return [f"{', '.join(names)} not measured: {reason}." for reason, names in reasons.items()]


def voted_labels(sources: Sequence[np.ndarray], videos: VideoSet) -> dict[str, np.ndarray]:
    """Return the labels A^ (L,) of each action's prototype [8] by the votes of all these videos.

    Args:
        sources: T^theta at the prototype points, (L,), of each video.
        videos: The videos.
    """
    lengths = {str(a): len(s) for a, s in zip(videos.action, sources, strict=True)}
    plp = PhaseLabelPropagation(**_sizes(videos, max(lengths.values())), sync_on_compute=False)
    every = np.arange(len(videos))
    for part in chunks(len(videos), _CHUNK):
        plp.update_prototype(**_ballots(sources, videos, every[part]))
    return _labels_of(plp, lengths)


def _sizes(videos: VideoSet, longest: int) -> dict[str, int]:
    """Return the sizes of the tables of votes, prototypes having at most ``longest`` points."""
    return {
        "num_actions": len(videos.actions),
        "num_phases": max([len(videos.phase_names.get(a, ())) for a in videos.actions] + [1]),
        "max_length": longest,
    }


def _labels_of(plp: PhaseLabelPropagation, lengths: dict[str, int]) -> dict[str, np.ndarray]:
    """Return the elected labels (L,) of each action's prototype."""
    labels = plp.prototype_labels().numpy()
    return {a: labels[i, : lengths[a]] for i, a in enumerate(sorted(lengths))}
