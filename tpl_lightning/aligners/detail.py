"""Options of the direct fit, coarse or in full detail, and whether detail, or open ends, are worth it."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from tpl_lightning.config import DirectConfig
from tpl_lightning.groupwise import JointOptions, JointStart, agreement, channel_energy, in_detail, mean_rest

__all__ = ["ENDS_ARE_OPEN", "FINE_GRID", "detail_pays", "ends_differ", "joint_options"]

ENDS_ARE_OPEN = "Ends are open: clips begin or end at different moments of the action (warp.ends=fixed: all are whole)."
"""What is said where ``warp.ends=auto`` has found it."""
FINE_GRID = 512
"""Points of the shared grid for warps in full detail."""
_STILL = 1e-6  # of the variance of the channel that changes most: with less, a channel says nothing
_FIRM = 6.0  # times the prior on open ends, where it is asked whether they differ
_MOVED = 0.0158  # of the prototype, between an end and the median of its action on average: with more, ends differ
_RESTS = 0.06  # of a prototype, at an end on average: with more, clips wait
_WORTH_IT = 0.03  # of agreement in held-out channels that detail has to bring


def joint_options(direct: DirectConfig, *, num_cells: int, fine: bool) -> JointOptions:
    """Return how warps are fitted, coarse or in full detail (see ``groupwise.energy.in_detail``)."""
    options = JointOptions(
        num_cells=num_cells,
        smoothness=direct.smoothness,
        level_freedom=direct.level_freedom,
        derivative=direct.derivative,
        adapt=direct.adapt,
    )
    return in_detail(options) if fine else options


def detail_pays(features: Tensor, action: Tensor, fit: Callable[[Tensor, bool], Tensor], *, num_actions: int) -> bool:
    """Tell whether warps in full detail are worth it, without labels.

    They are where warps that are fitted to half of the channels align the other half, which had no say in them, clearly
    better than coarse warps do. What fits noise in the one is of no use in the other.

    Args:
        features: (N, G, C) on the shared grid.
        action: (N,).
        fit: Fits coarse warps, or such in detail (True), to some channels (N, G, C'): T^theta (N, G).
        num_actions: A.
    """
    change = channel_energy(features)
    features = features[..., change > _STILL * change.max()]
    if features.shape[2] < 2:
        return False
    gains: list[float] = []
    for fitted, held_out in ((0, 1), (1, 0)):
        half, other = features[..., fitted::2].contiguous(), features[..., held_out::2]
        coarse, fine = (agreement(other, fit(half, it), action, num_actions=num_actions) for it in (False, True))
        gains.append(fine - coarse)
        if gains[0] < _WORTH_IT / 2:  # the other half hardly ever makes up for it
            return False
    return sum(gains) / 2 > _WORTH_IT


def ends_differ(start: JointStart) -> bool:
    """Tell whether clips begin and end at different moments, or wait, by what a fit with open ends finds; no labels.

    Its prior on ends is strong: what is ambiguous stays near the mean of the action, what is cut off does not. Ends of
    clips that are whole then lie within .001 to .014 of the median of their action, on average; those of clips that
    lose up to a fifth of their length at each end within .016 to .037. Prototypes of whole clips rest for up to .04 at
    an end, on average, those of clips that wait for up to .3 of their length for .08 to .12.

    Args:
        start: Of a fit with open ends, of some videos.
    """
    options = replace(start.options, ends_precision=_FIRM * start.options.ends_precision)
    theta = replace(start, options=options).fit()[1]
    waits = mean_rest(start.moving_ends(theta)) > _RESTS
    ends = theta[:, -2:]
    moved = [ends[start.action == a] - ends[start.action == a].median(0).values for a in start.action.unique()]
    return waits or float(torch.cat(moved).abs().mean()) > _MOVED
