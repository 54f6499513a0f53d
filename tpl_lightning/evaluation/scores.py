"""Scores of an alignment: CBC, PLP, key-event spread, warp error; on embeddings phase accuracy and Kendall's tau."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.embedding_scores import embedding_scores
from tpl_lightning.evaluation.votes import batches, elected_labels, stacked_labels, table_sizes
from tpl_lightning.functional import within_ends
from tpl_lightning.metrics import (
    CycleBackConsistency,
    KeyEventSpread,
    PhaseLabelPropagation,
)

__all__ = ["Scores", "evaluate", "unmeasured"]


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
    train, test = alignment.split == "train", alignment.split == "test"
    if prototypes is not None:
        train, test = np.zeros(len(alignment), dtype=bool), np.ones(len(alignment), dtype=bool)
    found, labels = _label_scores(alignment, videos, prototypes, train, test)
    if features is not None:
        splits = {"train": train, "test": test}
        found |= embedding_scores(alignment, videos, features, splits, videos.actions, raw=raw)
    found["warp_error"] = _warp_error(alignment, videos, train | test)
    overall = {name: value for name, (value, _) in found.items()}
    per_action = {a: {name: values[i] for name, (_, values) in found.items()} for i, a in enumerate(videos.actions)}
    return Scores(overall, per_action, labels)


def _label_scores(
    alignment: Alignment,
    videos: VideoSet,
    prototypes: dict[str, np.ndarray] | None,
    train: np.ndarray,
    test: np.ndarray,
) -> tuple[dict[str, tuple[float, list[float]]], dict[str, np.ndarray]]:
    """Return CBC, PLP and the spread of key events, overall and of each action, and the labels of the prototypes."""
    size = table_sizes(videos, int(alignment.prototype_length.max()))
    # All videos are here, on whichever rank this runs: nothing is to be joined with other ranks.
    alone: dict[str, Any] = {"sync_on_compute": False}
    cbc, plp = CycleBackConsistency(**size, **alone), PhaseLabelPropagation(**size, **alone)
    spread = KeyEventSpread(num_actions=size["num_actions"], num_phases=size["num_phases"], **alone)
    if prototypes is not None:
        plp.set_prototype_labels(stacked_labels(prototypes, videos.actions, size["max_length"]))
    for batch in batches(alignment, videos, train):
        cbc.update(**batch)
        plp.update_prototype(**{k: v for k, v in batch.items() if k != "position"})
    for batch in batches(alignment, videos, test):
        plp.update(**{k: v for k, v in batch.items() if k != "source_position"})
    for batch in batches(alignment, videos, train | test):
        spread.update(batch["position"], _without_begun(batch), batch["lengths"], batch["action"])
    scores = {
        name: (float(metric.compute()) if metric.update_called else math.nan, metric.per_action().tolist())
        for name, metric in (("train/cbc", cbc), ("test/plp", plp), ("event_spread", spread))
    }
    lengths = {str(a): int(n) for a, n in zip(alignment.action, alignment.prototype_length, strict=True)}
    return scores, elected_labels(plp, lengths)


def _warp_error(alignment: Alignment, videos: VideoSet, keep: np.ndarray) -> tuple[float, list[float]]:
    """Mean |recovered - true| progress after the best monotone map of the prototype timeline: overall, by action."""
    errors: list[float] = []
    for action in videos.actions:
        rows = np.flatnonzero(keep & (videos.action == action))
        pairs = [(alignment.position(i), videos.progress(i)) for i in rows.tolist()]
        # Idle frames have no progress.
        measured = [(x[~np.isnan(y)], y[~np.isnan(y)]) for x, y in pairs if y is not None and not np.isnan(y).all()]
        if not measured:
            errors.append(math.nan)
            continue
        from sklearn.isotonic import IsotonicRegression  # slow to import, and seldom needed

        x, y = (np.concatenate(part).astype(np.float64) for part in zip(*measured, strict=True))
        recovered = IsotonicRegression(out_of_bounds="clip").fit_transform(x, y)
        bounds = np.cumsum([len(p) for p, _ in measured])[:-1]
        errors.append(float(np.mean([e.mean() for e in np.split(np.abs(recovered - y), bounds)])))
    known = [error for error in errors if not math.isnan(error)]
    return (float(np.mean(known)) if known else math.nan), errors


def _without_begun(batch: dict[str, Tensor]) -> Tensor:
    """Return labels (n, T) without the phase that a video is in where it misses the begin: nobody saw that begin."""
    labels, first = batch["labels"], batch["source_position"][:, :1]
    begun = (labels == labels[:, :1]) & (first < 0) & ~within_ends(first)
    return labels.where(~begun, -1)


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
