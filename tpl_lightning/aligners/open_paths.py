"""Dynamic time warping with open ends: open-begin open-end paths of videos to a prototype, and their barycenter.

A path may leave out frames before and behind it, and points of the prototype, each at a cost. With a temperature it is
the expected path of soft-DTW over all such paths.
"""

from collections.abc import Sequence

import numpy as np
import torch

from tpl_lightning.functional import open_costs, path_posterior

_SKIP_SOFT, _SKIP = 0.25, 0.5  # of the mean cost of all pairs: that of a frame or a point left out, where each is best
_COLD = 1e-3  # temperature of a single best path, against the mean cost of all pairs
_SETTLED = 1e-4  # relative change of a barycenter


def open_path_weights(prototype: np.ndarray, video: np.ndarray, gamma: float | None) -> np.ndarray:
    """Return which frames face which prototype points, (L + 2, L_i + 2): the border is what is left out.

    Args:
        prototype: (L, K).
        video: (L_i, K).
        gamma: Temperature of the expected path; None: the best path.
    """
    cost = torch.cdist(torch.from_numpy(prototype), torch.from_numpy(video)).square().unsqueeze(0)
    mean = cost.mean((1, 2))
    if gamma is None:
        return path_posterior(open_costs(cost, _SKIP * mean), _COLD * float(mean) + 1e-12)[0].numpy()
    return path_posterior(open_costs(cost, _SKIP_SOFT * mean), gamma)[0].numpy()


def open_path_positions(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read both time maps off an open path, see ``aligners.dtw.path_positions``.

    A frame is idle where it faces the border more than the prototype, and a point is not in the video alike.

    Args:
        weights: (L + 2, L_i + 2) from :func:`open_path_weights`.

    Returns:
        Positions (L_i,) of the frames, 0 or 1 where they are idle, and sources (L,) of the points, below 0 or above 1
        where the video has none.
    """
    inner = weights[1:-1, 1:-1]
    points, frames = (np.linspace(0, 1, n) for n in inner.shape)
    position = points @ inner / np.maximum(inner.sum(0), 1e-12)
    source = inner @ frames / np.maximum(inner.sum(1), 1e-12)
    early, late = (weights[row, 1:-1] > inner.sum(0) for row in (0, -1))
    first, last = _inside(early, late)
    position[:first], position[last + 1 :] = 0.0, 1.0
    before, behind = (weights[1:-1, column] > inner.sum(1) for column in (0, -1))
    begin, end = _inside(before, behind)
    # The first frame may face points that others would, were they there: only the last counts; at the end alike.
    half = 0.5 / (len(frames) - 1)
    if first == 0:
        begin = max(begin, int(np.flatnonzero(source[: end + 1] < half).max(initial=begin)))
        position[0], source[begin] = points[begin], 0.0
    if last == len(frames) - 1:
        end = min(end, int((begin + np.flatnonzero(source[begin:] > 1 - half)).min(initial=end)))
        position[-1], source[end] = points[end], 1.0
    step = 1 / (len(points) - 1)
    source = np.maximum.accumulate(source).clip(0, 1)
    source[:begin] = -step * np.arange(begin, 0, -1)
    source[end + 1 :] = 1 + step * np.arange(1, len(points) - end)
    return np.maximum.accumulate(position).clip(0, 1), source


def open_barycenter(
    videos: Sequence[np.ndarray], start: np.ndarray, *, gamma: float | None, max_iter: int
) -> np.ndarray:
    """Return the barycenter (L, K) of videos (L_i, K) under open paths: each point the mean of the frames it faces.

    The fixed point of DBA (Petitjean et al. 2011), with the weights of the expected path for soft-DTW.
    """
    found = start
    for _ in range(max_iter):
        total, count = np.zeros_like(found), np.zeros((len(found), 1))
        for video in videos:
            weights = open_path_weights(found, video, gamma)[1:-1, 1:-1]
            total += weights @ video
            count += weights.sum(1, keepdims=True)
        updated = np.where(count > 1e-6, total / np.maximum(count, 1e-6), found)
        moved = np.square(updated - found).mean() / max(np.square(found).mean(), 1e-12)
        found = updated
        if moved < _SETTLED**2:
            break
    return found


def _inside(before: np.ndarray, behind: np.ndarray) -> tuple[int, int]:
    """Return the first and the last that are neither before nor behind; at least one is."""
    inside = np.flatnonzero(~(before | behind))
    return (int(inside[0]), int(inside[-1])) if len(inside) else (0, len(before) - 1)
