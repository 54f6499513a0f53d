"""Warps from paths: the best of all monotone matches of a video with a prototype, as a smooth warp.

Where gradient steps end in the nearest minimum, dynamic time warping finds the best of all paths. A path goes from
point to point; each frame is then moved along the prototype to where it fits best between points, and the warp nearest
to all of them is the answer.
"""

import torch
from torch import Tensor

from tpl_lightning.functional import dtw_positions, sample_each, sample_rows, time_slope
from tpl_lightning.groupwise.energy import JointOptions, chunks, less_offset
from tpl_lightning.groupwise.fit import warps_from_positions

_COSTS = 2**22  # that are in memory at once
_SMOOTHNESS = 1e-6  # of the warp nearest to a path, against mean squared errors of position
_STEPS = 3  # to that warp: paths are a start, or no surer than that
_POINTS = 4  # points to a cell of the warps at which paths are found
_REACH = 4.0  # points by which a frame may move from its path
_SKIP = 0.5  # of the mean cost of all pairs: that of a frame or a point outside the path
_FLAT = 0.1  # of the mean square slope of the prototype: where it is flatter, steps are short


def path_warps(signal: Tensor, target: Tensor, options: JointOptions) -> Tensor:
    """Return the warps nearest to the best paths of videos (N, G, K) to targets (N, G, K), theta (N, d).

    Args:
        signal: (N, G, K).
        target: (N, G, K).
        options: ``num_cells`` and ``offset_shrinkage`` are read.
    """
    signal, target = (_thinned(x, _POINTS * options.num_cells) for x in (signal, target))
    signal = less_offset(signal, options.offset_shrinkage)
    found = []
    for rows in chunks(len(signal), max(_COSTS // signal.shape[1] ** 2, 1)):
        found.append(path_positions(signal[rows], target[rows], ends=options.ends))
    return warps_from_positions(
        torch.cat(found), num_cells=options.num_cells, smoothness=_SMOOTHNESS, steps=_STEPS, ends=options.ends
    )


def path_positions(signal: Tensor, target: Tensor, *, ends: bool = False) -> Tensor:
    """Return where points of videos (N, G, K) lie on targets (N, P, K), along the best paths, (N, G) in [0, 1].

    With open ends frames outside the prototype stay at 0 or 1.
    """
    # |x - y|^2 by a product of matrices; cdist would do the same, with roots.
    cost = torch.baddbmm(
        signal.square().sum(-1, keepdim=True) + target.square().sum(-1).unsqueeze(1),
        signal,
        target.transpose(1, 2),
        alpha=-2,
    ).clamp(min=0)
    if not ends:
        return sub_sample_positions(dtw_positions(cost), signal, target)
    position = dtw_positions(cost, _SKIP * cost.mean((1, 2)))
    return sub_sample_positions(position, signal, target).where((position > 0) & (position < 1), position)


def sub_sample_positions(position: Tensor, signal: Tensor, target: Tensor, *, steps: int = 4) -> Tensor:
    """Move frames from the points of a path to where they fit best between points.

    Each frame takes Gauss-Newton steps of its own on || P(x) - U ||^2, P interpolated linearly. Where the prototype
    hardly changes, frames hardly move: noise would take them anywhere.

    Convention: as in ``functional.dtw.dtw_positions``, video time -> prototype time.

    Args:
        position: (N, G) in [0, 1].
        signal: (N, G, K) videos.
        target: (N, P, K) prototypes.
        steps: Gauss-Newton steps.

    Returns:
        (N, G) in [0, 1], at most four points away; neighbours may have changed their order.
    """
    points = target.shape[1] - 1
    slope = time_slope(target)
    low, high = (position - _REACH / points).clamp(min=0), (position + _REACH / points).clamp(max=1)
    for _ in range(steps):
        matched, along = sample_each([target, slope], position)
        strength = along.square().sum(-1)
        flat = _FLAT * strength.mean(1, keepdim=True) + 1e-12
        position = torch.clamp(position - ((matched - signal) * along).sum(-1) / (strength + flat), low, high)
    return position


def _thinned(values: Tensor, size: int) -> Tensor:
    """Return (N, G, K) at ``size`` even times, or as it is if that is not fewer."""
    if values.shape[1] <= size:
        return values
    return sample_rows(values, torch.linspace(0, 1, size, device=values.device).expand(len(values), -1))
