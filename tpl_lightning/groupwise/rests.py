"""Where prototypes begin and cease to move: an idle part has no motion that videos share.

At a prototype time, with u_i the velocities of the n videos that are there, the mean square velocity is
T = mean_i |u_i|^2, and what of it is common to all S = mean_{i != j} u_i . u_j, which noise does not bias: a figure
that waits fidgets, but no two alike. Their ratio is a correlation: zero where all rest, whatever features and noise
are.
"""

import torch
from torch import Tensor

from tpl_lightning.functional import sample_rows, smoothed, time_slope
from tpl_lightning.functional.warps import coverage, video_times

_SIGMA = 0.02  # of the video, over which velocities are smoothed
_EARLY = 1.5 * _SIGMA  # by which they show a motion before it begins
_STILL, _CHANCE = 0.25, 0.7  # of the median correlation, and over n: with less, nothing moves
_SHORT_REST = 0.08  # of a prototype: a shorter rest at an end is a part of the action
_MANY = 8  # videos of an action, from which on they tell chance from rest
_PART, _FEWEST = 0.25, 3  # of them that have to be there, and videos


def moving_ends(signal: Tensor, action: Tensor, theta: Tensor, *, num_actions: int, num_cells: int) -> Tensor:
    """Return where prototypes begin and cease to move, (A, 2) in [0, 1]; 0 and 1 where they hardly rest.

    Args:
        signal: (N, G, K) videos in the space of comparison.
        action: (N,).
        theta: (N, d) their warps.
        num_actions: A.
        num_cells: Cells of the warps.
    """
    size = signal.shape[1]
    grid = torch.linspace(0, 1, size, dtype=signal.dtype, device=signal.device)
    times = video_times(theta, grid, num_cells=num_cells)
    there = (coverage(times) > 0.5).to(signal)
    velocity = sample_rows(time_slope(smoothed(signal, _SIGMA, size)), times) * there
    found = signal.new_tensor([0.0, 1.0]).repeat(num_actions, 1)
    for label in action.unique().tolist():
        mine = velocity[action == label]
        count, total = there[action == label].sum((0, 2)), mine.square().sum((0, 2))
        shared = (mine.sum(0).square().sum(-1) - total) / (count - 1).clamp(min=1)
        correlation = shared / total.clamp(min=1e-12)
        known = count >= max(_PART * len(mine), _FEWEST)
        if len(mine) < _MANY or not known.any():
            continue
        moves = known & (correlation > (_CHANCE / count.clamp(min=1)).clamp(min=_STILL * correlation[known].median()))
        for side, order in enumerate((moves, moves.flip(0))):
            rest = float(order.int().argmax()) / (size - 1) + _EARLY
            if rest > _SHORT_REST:
                found[label, side] = abs(side - rest)
    return found


def mean_rest(bounds: Tensor) -> float:
    """Return for how long prototypes rest at an end, on average, of :func:`moving_ends`, (A, 2).

    One end of one action may be a hold that belongs to it, as a hang before the first pull-up is; where most prototypes
    rest at most ends, clips wait.

    Example:
        >>> mean_rest(torch.tensor([[0.25, 1.0], [0.0, 0.75]]))
        0.125
    """
    return float((bounds - bounds.new_tensor([0.0, 1.0])).abs().mean())
