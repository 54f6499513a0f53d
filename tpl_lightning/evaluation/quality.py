"""How good an alignment is, without labels: agreement of the aligned videos, roughness of their warps, warnings."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.warp import prototype_grid, warped
from tpl_lightning.functional.scores import ROUGHNESS_WEIGHT
from tpl_lightning.groupwise import leave_one_out_error

_MOST = 1000  # training videos of an action that are judged, evenly spread
_STEEP = 8.0  # a warp this steep somewhere is a stair
_STEEP_SHARE = 0.1
_SHARED = 0.15
_UNLIKE, _FAR = 0.1, 0.45  # correlation with the others, itself and per median, below which a video is doubtful
_OUTLYING, _USUAL = 6.0, 0.05  # deviations below the median, and the least that counts as one
_MOVED = 0.02  # of the duration, from which on a warp says something
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


def _disagreement(aligned: np.ndarray, there: np.ndarray | None = None) -> float:
    """Return how far the aligned videos (n, L, C) of one action lie from the mean of the others, a mean square."""
    frames, action = torch.from_numpy(aligned), torch.zeros(len(aligned), dtype=torch.int64)
    cover = None if there is None or there.all() else torch.from_numpy(there).to(frames).unsqueeze(-1)
    return leave_one_out_error(frames, action, num_actions=1, cover=cover)


def _warp_warnings(action: str, sources: np.ndarray, slopes: np.ndarray) -> list[str]:
    found = []
    steep = float((np.nanmax(slopes, axis=1, initial=0) > _STEEP).mean())
    if steep > _STEEP_SHARE:
        found.append(
            f"{action}: {steep:.0%} of the warps have stairs (slope above {_STEEP:g}): they fit noise; more smoothness?"
        )
    shift = sources - prototype_grid(sources.shape[1])
    common = np.abs(shift.mean(axis=0)).mean()
    own = np.abs(shift - shift.mean(axis=0)).mean()
    if common > 0.01 and own < _SHARED * common:
        found.append(f"{action}: all videos share one warp, which aligns nothing; the latents may have collapsed.")
    return found


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


def _doubtful(
    aligned: np.ndarray, linear: np.ndarray, is_train: np.ndarray, moved: np.ndarray, there: np.ndarray
) -> np.ndarray:
    """Return which videos follow the others hardly at all, or less than under linear rescaling.

    Args:
        aligned: (n, L, K) on the prototype timeline.
        linear: (n, L, K) rescaled linearly.
        is_train: (n,) which make the prototype.
        moved: (n,) how far the warps go from the identity.
        there: (n, L) where the aligned videos have frames.
    """
    own = _likeness(aligned, is_train, there)
    median = float(np.median(own[is_train]))
    deviation = max(float(np.median(np.abs(own[is_train] - median))), _USUAL)
    unlike = own < max(_UNLIKE, _FAR * median, median - _OUTLYING * deviation)
    return unlike | ((own < _likeness(linear, is_train, np.ones_like(there))) & (moved > _MOVED))


def _spread(rows: np.ndarray) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST)).round().astype(int)]


def assess(alignment: Alignment, videos: VideoSet, features: Callable[[np.ndarray], np.ndarray]) -> Quality:
    """Judge an alignment by its training videos, and each video by them, without looking at a label.

    Args:
        alignment: Rows in the order of ``videos``.
        videos: The aligned videos.
        features: Makes features (L, K) of the embeddings (L, C) of a video, a fitted ``Preprocessor`` say.

    Returns:
        The figures; NaN where no action has two training videos.
    """
    before = after = rough = 0.0
    counted = 0
    warnings: list[str] = []
    doubtful: list[str] = []
    is_train = alignment.split == "train"
    for action in videos.actions:
        rows, new = (_spread(np.flatnonzero((videos.action == action) & part)) for part in (is_train, ~is_train))
        if len(rows) < 2:
            continue
        chosen = (*rows.tolist(), *new.tolist())
        every = np.stack([alignment.source(i) for i in chosen]).astype(np.float64).clip(0, 1)
        there = np.stack([alignment.there(i) for i in chosen])
        sources, grid = every[: len(rows)], prototype_grid(every.shape[1])
        frames = [features(videos.read(i)) for i in chosen]
        aligned = np.stack([warped(f, s) for f, s in zip(frames, every, strict=True)])
        rescaled = np.stack([warped(f, grid) for f in frames])
        own = _disagreement(aligned[: len(rows)], there[: len(rows)])
        linear = _disagreement(rescaled[: len(rows)])
        moved = np.abs(every - grid).max(axis=1)
        found = _doubtful(aligned, rescaled, np.arange(len(every)) < len(rows), moved, there)
        named = [str(videos.video_id[i]) for i in np.concatenate([rows, new])[found]]
        if named:
            doubtful += named
            warnings.append(
                f"{action}: the alignment of {len(named)} of {len(every)} videos is doubtful, as they follow the "
                f"others hardly, or less than under linear rescaling: {', '.join(named[:_NAMED])}"
                f"{', ...' if len(named) > _NAMED else ''}. Another action, a wrong cut, or a failed extractor?"
            )
        slopes = np.maximum(np.diff(sources, axis=1) * (sources.shape[1] - 1), 1e-3)
        slopes[~(there[: len(rows), 1:] & there[: len(rows), :-1])] = np.nan  # a warp has none where there is no frame
        before, after = before + linear * len(rows), after + own * len(rows)
        rough += float(np.nanmean(np.square(np.log(slopes)))) * len(rows)
        counted += len(rows)
        warnings += _warp_warnings(action, sources, slopes)
        if own >= linear and not np.allclose(sources, grid, atol=1e-4):
            warnings.append(
                f"{action}: aligned videos agree no better than under linear rescaling; do not use the warps."
            )
    if counted == 0 or before == 0:
        return Quality(math.nan, math.nan, math.nan, warnings, doubtful)
    agreement, roughness = 1 - after / before, rough / counted
    return Quality(agreement - ROUGHNESS_WEIGHT * roughness, agreement, roughness, warnings, doubtful)
