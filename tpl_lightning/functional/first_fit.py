"""Before the joint fit: a rough fit of some videos, the metric learned from it, and the best paths to start from."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional.adapted_prior import some_of_each
from tpl_lightning.functional.cpab import cpab_warp
from tpl_lightning.functional.joint import Guide, JointOptions, centred, fit_jointly, targets
from tpl_lightning.functional.path_warps import path_warps
from tpl_lightning.functional.smoothing import sample_rows
from tpl_lightning.functional.timing_space import SHRINKAGE, TimingSpace
from tpl_lightning.options.fits import DirectConfig

__all__ = ["START", "SpaceOptions", "space_and_start"]

START: dict[str, Any] = {"smoothness": 1e-5, "steps": 2}
"""How closely a warp that only starts a fit follows its path."""

_DEFAULT = DirectConfig()
_ROUGH_CELLS = 16  # of the first fit


@dataclass(frozen=True)
class SpaceOptions:
    """How the space of comparison is made (see ``functional.timing_space``)."""

    derivative: float = _DEFAULT.derivative
    sigma: float = _DEFAULT.derivative_sigma
    metric: bool = _DEFAULT.metric
    """Learn the metric from a first, smoother fit."""
    metric_channels: int = _DEFAULT.metric_channels
    shrinkage: float = SHRINKAGE
    """How far the noise is taken for white; the rougher the first fit, the more it pays."""
    first_smoothness: float = _DEFAULT.first_smoothness
    """Weight of the prior in that first fit, whose features are noisier."""
    first_stages: tuple[float, ...] = (0.1, 0.025)
    first_videos: int = 16
    """Most videos of an action in that first fit; with more, the metric and the paths hardly get better."""
    path_rounds: int = _DEFAULT.paths
    """Rounds of dynamic time warping to the mean of the others, between the first fit and the last; 0: none. A path is
    the best of all, where gradient steps find the nearest; as a warp it starts the last fit."""
    adapt: float = _DEFAULT.adapt
    """Share of the residual's variance that counts as noise in the prior and the freedom of levels that suit a fit, see
    ``functional.adapted_prior``; 0: both stay as the options say, for clips in step, too."""
    joint_videos: int = _DEFAULT.joint_videos
    """Videos that are aligned with one another, as many of each action, and up to 24 of each in any case; others
    are aligned with the prototypes of these."""


def space_and_start(
    mapping: TimingSpace,
    plain: Tensor,
    action: Tensor,
    *,
    num_actions: int,
    options: JointOptions,
    space: SpaceOptions,
    theta: Tensor | None,
    guide: Guide | None,
) -> tuple[TimingSpace, Tensor, Tensor | None]:
    """Return the space of comparison, the videos in it, and where the last fit starts.

    A first, rough fit of some videos aligns them well enough for a metric to be learned and paths to be found.

    Args:
        mapping: The space without a metric.
        plain: (N, G, C') the videos in it.
        action: (N,).
        num_actions: A.
        options: Of the last fit.
        space: How the space is made.
        theta: (N, d) start of the rough fit, and of the last one where there are no paths; None: the identity.
        guide: What labels have to say.
    """
    if not space.metric and space.path_rounds == 0:
        return mapping, plain, theta
    grid = torch.linspace(0, 1, plain.shape[1], device=plain.device)
    known = some_of_each(action, space.first_videos)
    cells = min(options.num_cells, _ROUGH_CELLS) if theta is None else options.num_cells
    first = replace(options, num_cells=cells, smoothness=space.first_smoothness, stages=space.first_stages)
    start = None if theta is None else theta[known]
    told = None if guide is None else guide.of(known)
    rough = fit_jointly(
        plain[known], action[known], num_actions=num_actions, options=first, theta=start, guide=told
    ).theta
    times = cpab_warp(rough, grid, num_cells=cells)
    learned, signal = mapping, plain
    for number in range(max(space.path_rounds, 1)):
        if space.metric and number < 2:  # paths are sharper than the rough fit; a third metric is like the second
            learned = mapping.with_metric(
                sample_rows(plain[known], times),
                action[known],
                num_actions=num_actions,
                channels=space.metric_channels,
                shrinkage=space.shrinkage,
            )
            signal = learned.in_metric(plain)
        if number < space.path_rounds:
            pair = _matched(signal, times, known, action, num_actions=num_actions, options=options, guide=guide)
            theta = centred(path_warps(*pair, options, **START), action, num_actions=num_actions)
            times = cpab_warp(theta, grid, num_cells=options.num_cells)
            known = torch.ones_like(known)
    return learned, signal, theta


def _matched(
    signal: Tensor,
    times: Tensor,
    known: Tensor,
    action: Tensor,
    *,
    num_actions: int,
    options: JointOptions,
    guide: Guide | None = None,
) -> tuple[Tensor, Tensor]:
    """Return videos and what paths match them with, (N, G, K) each: the mean of the others that are aligned already.

    Args:
        signal: (N, G, C).
        times: (M, G) T^theta of the M aligned ones.
        known: (N,) which these are.
        action: (N,).
        num_actions: A.
        options: As for ``functional.joint.targets``.
        guide: What labels have to say.
    """
    aligned = sample_rows(signal[known], times)
    of_others, mean = targets(aligned, action[known], num_actions=num_actions, options=options)
    target = mean[action]
    target[known] = of_others
    if guide is None:
        return signal, target
    aligned_ones = known & guide.known
    others = torch.bincount(action[aligned_ones], minlength=num_actions)[action] - aligned_ones.long()
    told = guide.known & (others > 0)
    extra = torch.zeros_like(guide.channels)
    extra[told] = _matched(
        guide.channels[told],
        times[told[known]],
        known[told],
        action[told],
        num_actions=num_actions,
        options=options,
    )[1]
    return replace(guide, known=told).beside(signal), torch.cat([target, extra], -1)
