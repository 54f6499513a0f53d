"""How good an alignment is, without labels: agreement of the aligned videos, roughness of their warps, warnings."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.warp import prototype_grid, warped
from tpl_lightning.functional.scores import LEAST_SLOPE, ROUGHNESS_WEIGHT
from tpl_lightning.groupwise import leave_one_out_error

_MOST = 1000  # training videos of an action that are judged, evenly spread
_STEEP = 8.0  # a warp this steep somewhere is a stair
_STEEP_SHARE = 0.1
_SHARED, _COMMON = 0.15, 0.01  # own warps against the common one, and the least of that, where all share one warp
_UNLIKE, _FAR = 0.1, 0.45  # correlation with the others, itself and per median, below which a video is doubtful
_OUTLYING, _USUAL = 6.0, 0.05  # deviations below the median, and the least that counts as one
_MOVED = 0.02  # of the duration, from which on a warp says something
_IDENTITY = 1e-4  # of the duration: warps that move less are the identity
_FIGURES = ("score", "agreement", "roughness")
_NAMED = 20  # doubtful videos that a warning names


@dataclass(frozen=True)
class Quality:
    """Figures that need no labels.

    Attributes:
        score: agreement - 0.1 roughness; higher is better. Compares runs on the same videos.
        agreement: 1 - r / r0, r the mean squared distance of a training video to the mean of the others on the
            prototype timeline, r0 the same under linear rescaling. 0: no better than linear.
        roughness: Mean square of the logarithm of the slopes of the warps; 0 for the identity.
        warnings: What looks wrong, one sentence each.
        doubtful: Names of the videos, of any split, whose own alignment should be looked at.
    """

    score: float
    agreement: float
    roughness: float
    warnings: list[str]
    doubtful: list[str]

    def to_metrics(self) -> dict[str, Any]:
        """Return the figures by their names in metrics.json."""
        figures = {f"quality/{name}": getattr(self, name) for name in _FIGURES}
        return {**figures, "warnings": self.warnings, "doubtful_videos": self.doubtful}

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, Any]) -> "Quality":
        """Return the figures that metrics.json holds; NaN where one is missing."""
        found = [metrics.get(f"quality/{name}") for name in _FIGURES]
        score, agreement, roughness = (math.nan if value is None else float(value) for value in found)
        return cls(score, agreement, roughness, metrics.get("warnings") or [], metrics.get("doubtful_videos") or [])


@dataclass(frozen=True)
class _Action:
    """Videos of one action on its prototype timeline, the training videos first; L points, K channels.

    Attributes:
        name: Of the action.
        video_id: (n,).
        is_train: (n,) which make the prototype.
        sources: (n, L) T^theta at the prototype points, float64, in [0, 1].
        there: (n, L) where the videos have frames.
        aligned: (n, L, K) at ``sources``.
        rescaled: (n, L, K) at evenly spaced times.
    """

    name: str
    video_id: np.ndarray
    is_train: np.ndarray
    sources: np.ndarray
    there: np.ndarray
    aligned: np.ndarray
    rescaled: np.ndarray

    @property
    def moved(self) -> np.ndarray:
        """Return how far the warps go from the identity, (n, L)."""
        return self.sources - prototype_grid(self.sources.shape[1])

    @cached_property
    def error(self) -> float:
        """Return the leave-one-out mean squared error of the aligned training videos."""
        return _error(self.aligned[self.is_train], self.there[self.is_train])

    @cached_property
    def linear_error(self) -> float:
        """Return the same under linear rescaling."""
        return _error(self.rescaled[self.is_train])

    @cached_property
    def slopes(self) -> np.ndarray:
        """Return the slopes of the training videos' warps, (n', L - 1); NaN where there is no frame."""
        sources, there = self.sources[self.is_train], self.there[self.is_train]
        slopes = np.maximum(np.diff(sources, axis=1) * (sources.shape[1] - 1), LEAST_SLOPE)
        return np.where(there[:, 1:] & there[:, :-1], slopes, np.nan)

    @cached_property
    def doubtful(self) -> list[str]:
        """Name the videos that follow the others hardly at all, or less than under linear rescaling."""
        own = _likeness(self.aligned, self.is_train, self.there)
        linear = _likeness(self.rescaled, self.is_train, np.ones_like(self.there))
        median = float(np.median(own[self.is_train]))
        deviation = max(float(np.median(np.abs(own[self.is_train] - median))), _USUAL)
        unlike = own < max(_UNLIKE, _FAR * median, median - _OUTLYING * deviation)
        found = unlike | ((own < linear) & (np.abs(self.moved).max(axis=1) > _MOVED))
        return [str(name) for name in self.video_id[found]]

    def warnings(self) -> Iterator[str]:
        """Yield what looks wrong."""
        if named := self.doubtful:
            yield (
                f"{self.name}: the alignment of {len(named)} of {len(self.video_id)} videos is doubtful, as they "
                f"follow the others hardly, or less than under linear rescaling: {', '.join(named[:_NAMED])}"
                f"{', ...' if len(named) > _NAMED else ''}. Another action, a wrong cut, or a failed extractor?"
            )
        steep = float((np.nanmax(self.slopes, axis=1, initial=0) > _STEEP).mean())
        if steep > _STEEP_SHARE:
            yield (
                f"{self.name}: {steep:.0%} of the warps have stairs (slope above {_STEEP:g}): they fit noise; "
                "more smoothness?"
            )
        moved = self.moved[self.is_train]
        common, own = np.abs(moved.mean(axis=0)).mean(), np.abs(moved - moved.mean(axis=0)).mean()
        if common > _COMMON and own < _SHARED * common:
            yield f"{self.name}: all videos share one warp, which aligns nothing; the latents may have collapsed."
        if self.error >= self.linear_error and np.abs(moved).max() > _IDENTITY:
            yield f"{self.name}: aligned videos agree no better than under linear rescaling; do not use the warps."


def _error(aligned: np.ndarray, there: np.ndarray | None = None) -> float:
    """Return how far the aligned videos (n, L, C) of one action lie from the mean of the others, a mean square."""
    frames, action = torch.from_numpy(aligned), torch.zeros(len(aligned), dtype=torch.int64)
    cover = None if there is None or there.all() else torch.from_numpy(there).to(frames).unsqueeze(-1)
    return leave_one_out_error(frames, action, num_actions=1, cover=cover)


def _likeness(frames: np.ndarray, is_train: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the correlation (n,) of each video (n, L, K) over time with the mean of the other training videos.

    Only the points (n, L) count where a video has frames and others do, too.
    """
    weight = there[..., None].astype(frames.dtype)
    total, count = (frames * weight)[is_train].sum(axis=0), weight[is_train].sum(axis=0)
    found = np.zeros(len(frames))
    for i, (own, counts) in enumerate(zip(frames, is_train, strict=True)):
        others, seen = (total - own * weight[i], count - weight[i]) if counts else (total, count)
        both = there[i] & (seen[:, 0] > 0)
        if not both.any():
            continue
        own, others = own[both], others[both] / seen[both]
        own, others = own - own.mean(axis=0), others - others.mean(axis=0)
        norm = np.linalg.norm(own) * np.linalg.norm(others)
        found[i] = (own * others).sum() / norm if norm > 0 else 0
    return found


def _spread(rows: np.ndarray) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST)).round().astype(int)]


def _on_prototype(
    alignment: Alignment, videos: VideoSet, features: Callable[[np.ndarray], np.ndarray], action: str
) -> _Action:
    """Return the videos of an action that are judged, on its prototype timeline."""
    mine, is_train = videos.action == action, alignment.split == "train"
    rows = np.concatenate([_spread(np.flatnonzero(mine & is_train)), _spread(np.flatnonzero(mine & ~is_train))])
    sources = np.stack([alignment.source(i) for i in rows.tolist()]).astype(np.float64).clip(0, 1)
    frames, grid = [features(videos.read(i)) for i in rows.tolist()], prototype_grid(sources.shape[1])
    return _Action(
        name=action,
        video_id=videos.video_id[rows],
        is_train=is_train[rows],
        sources=sources,
        there=np.stack([alignment.there(i) for i in rows.tolist()]),
        aligned=np.stack([warped(f, s) for f, s in zip(frames, sources, strict=True)]),
        rescaled=np.stack([warped(f, grid) for f in frames]),
    )


def assess(alignment: Alignment, videos: VideoSet, features: Callable[[np.ndarray], np.ndarray]) -> Quality:
    """Judge an alignment by its training videos, and each video by them, without looking at a label.

    Args:
        alignment: Rows in the order of ``videos``.
        videos: The aligned videos.
        features: Makes features (L, K) of the embeddings (L, C) of a video, a fitted ``Preprocessor`` say.

    Returns:
        The figures; NaN where no action has two training videos.
    """
    sums = np.zeros(4)  # errors of linear rescaling and of the alignment, roughness, training videos
    warnings: list[str] = []
    doubtful: list[str] = []
    for name in videos.actions:
        if ((videos.action == name) & (alignment.split == "train")).sum() < 2:
            continue
        action = _on_prototype(alignment, videos, features, name)
        roughness = float(np.nanmean(np.square(np.log(action.slopes))))
        sums += action.is_train.sum() * np.array([action.linear_error, action.error, roughness, 1.0])
        warnings += action.warnings()
        doubtful += action.doubtful
    before, after, rough, count = sums.tolist()
    if count == 0 or before == 0:
        return Quality(math.nan, math.nan, math.nan, warnings, doubtful)
    agreement, roughness = 1 - after / before, rough / count
    return Quality(agreement - ROUGHNESS_WEIGHT * roughness, agreement, roughness, warnings, doubtful)
