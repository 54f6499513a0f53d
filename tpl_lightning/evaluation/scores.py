"""Scores of an alignment: CBC, PLP, key-event spread, warp error; on embeddings phase accuracy and Kendall's tau."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.embedding_scores import embedding_scores
from tpl_lightning.functional import within_ends
from tpl_lightning.functional.scores import (
    agreement_sum,
    key_event_moments,
    label_shares,
    prototype_labels,
    prototype_votes,
    spread_from_moments,
)
from tpl_lightning.groupwise import chunks

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


def _facing(sources: Sequence[np.ndarray], videos: VideoSet, rows: np.ndarray) -> dict[str, Any]:
    """Return what of some videos faces the prototypes, in the argument names of ``prototype_votes``.

    Args:
        sources: T^theta at the prototype points, (L,), of each video.
        videos: N of them.
        rows: (n,) their positions.
    """
    return {
        "labels": _padded([videos.labels(i).astype(np.int64) for i in rows], fill=-1),
        "lengths": torch.from_numpy(videos.lengths[rows]),
        "action": torch.from_numpy(videos.action_index[rows]),
        "source_position": _padded([sources[i] for i in rows], fill=2.0),
        "prototype_length": torch.tensor([len(sources[i]) for i in rows]),
    }


def _batches(alignment: Alignment, videos: VideoSet, keep: np.ndarray) -> Iterator[dict[str, Any]]:
    """Yield padded tensors of the kept videos, in the argument names of the metrics."""
    sources = [alignment.source(i) for i in range(len(alignment))]
    kept = np.flatnonzero(keep)
    for part in chunks(len(kept), _CHUNK):
        rows = kept[part]
        yield {"position": _padded([alignment.faced(i) for i in rows], fill=0.0), **_facing(sources, videos, rows)}


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


def _without_begun(labels: Tensor, source: Tensor) -> Tensor:
    """Return labels (n, T) without the phase that a video is in where it misses the begin: nobody saw that begin."""
    first = source[:, :1]
    begun = (labels == labels[:, :1]) & (first < 0) & ~within_ends(first)
    return labels.where(~begun, -1)


class _LabelSums(NamedTuple):
    """What the scores by labels need of some videos: sums over them, so those of two sets add up."""

    votes: Tensor
    """(A, P, K)."""
    shares: Tensor
    """(A, P, K)."""
    videos: Tensor
    """(A,), those with a labelled frame."""
    moments: Tensor
    """(3, A, K) number, sum and sum of squares of the event times."""


def _label_sums(alignment: Alignment, videos: VideoSet, keep: np.ndarray) -> _LabelSums:
    sizes: dict[str, Any] = _sizes(videos, int(alignment.prototype_length.max()))
    actions, phases, points = sizes["num_actions"], sizes["num_phases"], sizes["max_length"]
    sums = _LabelSums(
        votes=torch.zeros(actions, points, phases, dtype=torch.int64),
        shares=torch.zeros(actions, points, phases, dtype=torch.float64),
        videos=torch.zeros(actions, dtype=torch.int64),
        moments=torch.zeros(3, actions, phases, dtype=torch.float64),
    )
    for batch in _batches(alignment, videos, keep):
        position, source = batch.pop("position"), batch.pop("source_position")
        votes = prototype_votes(source_position=source, **batch, **sizes)
        shares, count = label_shares(position, **batch, **sizes)
        seen = _without_begun(batch["labels"], source)
        moments = key_event_moments(
            position, seen, batch["lengths"], batch["action"], num_actions=actions, num_phases=phases
        )
        sums = _LabelSums(*map(torch.add, sums, (votes, shares, count, torch.stack([m.double() for m in moments]))))
    return sums


def _label_scores(
    alignment: Alignment, videos: VideoSet, splits: dict[str, np.ndarray], prototypes: dict[str, np.ndarray] | None
) -> tuple[dict[str, tuple[Tensor, Tensor]], dict[str, np.ndarray]]:
    """Return CBC, PLP and the key-event spread, as sums and numbers by action, and the labels of the prototypes."""
    train, test = (_label_sums(alignment, videos, keep) for keep in splits.values())
    labels = prototype_labels(train.votes)
    if prototypes is not None:
        for own, action in zip(labels, videos.actions, strict=True):
            own[: len(prototypes[action])] = torch.from_numpy(prototypes[action])
    spread = spread_from_moments(*(train.moments + test.moments))
    scores = {
        "train/cbc": (agreement_sum(train.shares, labels), train.videos),
        # Videos of an action whose prototype has no label at all are not scored.
        "test/plp": (agreement_sum(test.shares, labels), test.videos * (labels >= 0).any(1)),
        "event_spread": (spread.nansum(1), (~spread.isnan()).sum(1)),
    }
    return scores, _labels_of(labels, alignment.action, alignment.prototype_length)


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
    splits = {split: alignment.split == split for split in ("train", "test")}
    if prototypes is not None:
        splits = {split: np.full(len(alignment), split == "test") for split in splits}
    sums, labels = _label_scores(alignment, videos, splits, prototypes)
    if features is not None:
        sums |= embedding_scores(alignment, videos, features, splits, raw=raw)
    overall = {name: float(total.sum() / count.sum()) for name, (total, count) in sums.items()}
    by_action = {name: (total / count).tolist() for name, (total, count) in sums.items()}
    errors = _warp_error(alignment, videos, splits["train"] | splits["test"])
    by_action["warp_error"] = [errors[action] for action in videos.actions]
    known = [value for value in errors.values() if not math.isnan(value)]
    overall["warp_error"] = float(np.mean(known)) if known else math.nan
    per_action = {a: {name: values[i] for name, values in by_action.items()} for i, a in enumerate(videos.actions)}
    return Scores(overall, per_action, labels)


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
    lengths = np.array([len(source) for source in sources])
    every = np.arange(len(videos))
    sizes: dict[str, Any] = _sizes(videos, int(lengths.max()))
    votes = [prototype_votes(**_facing(sources, videos, every[part]), **sizes) for part in chunks(len(videos), _CHUNK)]
    labels = prototype_labels(torch.stack(votes).sum(0))
    return _labels_of(labels, videos.action, lengths)


def _sizes(videos: VideoSet, longest: int) -> dict[str, int]:
    """Return the sizes of the tables of votes, prototypes having at most ``longest`` points."""
    return {
        "num_actions": len(videos.actions),
        "num_phases": max([len(videos.phase_names.get(a, ())) for a in videos.actions] + [1]),
        "max_length": longest,
    }


def _labels_of(labels: Tensor, action: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
    """Return the labels (L,) of each action's prototype, of a table (A, P) and the (N,) actions and lengths L."""
    longest = dict(zip(action.tolist(), lengths.tolist(), strict=True))
    return {name: labels[i, : longest[name]].numpy() for i, name in enumerate(sorted(longest))}
