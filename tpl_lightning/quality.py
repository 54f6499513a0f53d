"""How good an alignment is, without labels: agreement of the aligned videos, roughness of their warps, warnings."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from tpl_lightning.alignment import Alignment, prototype_grid
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.functional.joint import disagreement
from tpl_lightning.metrics.alignment_score import ROUGHNESS_WEIGHT

__all__ = ["Quality", "assess"]

_MOST = 1000  # training videos of an action that are judged, evenly spread
_STEEP = 8.0  # a warp this steep somewhere is a stair
_STEEP_SHARE = 0.1
_SHARED = 0.15


@dataclass(frozen=True)
class Quality:
    """Figures that need no labels.

    Attributes:
        score: agreement - 0.1 roughness; higher is better. Compares runs on the same videos.
        agreement: 1 - r / r0, r the mean squared distance of a training video to the mean of the others on the
            prototype timeline, r0 the same under linear rescaling. 0: no better than linear.
        roughness: Mean square of the logarithm of the slopes of the warps; 0 for the identity.
        warnings: What looks wrong, one sentence each.
    """

    score: float
    agreement: float
    roughness: float
    warnings: list[str]


def _disagreement(aligned: np.ndarray) -> float:
    """Return how far the aligned videos (n, L, C) of one action lie from the mean of the others, a mean square."""
    return disagreement(torch.from_numpy(aligned), torch.zeros(len(aligned), dtype=torch.int64), num_actions=1)


def _sampled(frames: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Sample (L, C) frames linearly at times in [0, 1]."""
    position = np.clip(times, 0, 1) * (len(frames) - 1)
    low = np.minimum(position.astype(int), max(len(frames) - 2, 0))
    weight = (position - low)[:, None]
    return frames[low] * (1 - weight) + frames[np.minimum(low + 1, len(frames) - 1)] * weight


def _warp_warnings(action: str, sources: np.ndarray, slopes: np.ndarray) -> list[str]:
    found = []
    steep = float((slopes.max(axis=1) > _STEEP).mean())
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


def assess(alignment: Alignment, videos: VideoSet, features: Callable[[np.ndarray], np.ndarray]) -> Quality:
    """Judge an alignment by its training videos, without looking at a label.

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
    for action in videos.actions:
        rows = np.flatnonzero((videos.action == action) & (alignment.split == "train"))
        if len(rows) < 2:
            continue
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST)).round().astype(int)]
        frames = [features(videos.read(i)) for i in rows.tolist()]
        sources = np.clip(np.stack([alignment.source(i) for i in rows.tolist()]).astype(np.float64), 0, 1)
        grid = prototype_grid(sources.shape[1])
        own = _disagreement(np.stack([_sampled(f, s) for f, s in zip(frames, sources, strict=True)]))
        linear = _disagreement(np.stack([_sampled(f, grid) for f in frames]))
        slopes = np.maximum(np.diff(sources, axis=1) * (sources.shape[1] - 1), 1e-3)
        before, after = before + linear * len(rows), after + own * len(rows)
        rough += float(np.square(np.log(slopes)).mean()) * len(rows)
        counted += len(rows)
        warnings += _warp_warnings(action, sources, slopes)
        if own >= linear and not np.allclose(sources, grid, atol=1e-4):
            warnings.append(
                f"{action}: aligned videos agree no better than under linear rescaling; do not use the warps."
            )
    if counted == 0 or before == 0:
        return Quality(math.nan, math.nan, math.nan, warnings)
    agreement, roughness = 1 - after / before, rough / counted
    return Quality(agreement - ROUGHNESS_WEIGHT * roughness, agreement, roughness, warnings)
