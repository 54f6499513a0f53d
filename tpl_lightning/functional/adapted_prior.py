"""How strong the prior of a joint fit ought to be, and how free the levels, found without labels.

Two questions. Before the last fit: how far do tempos differ at all? Small warps are fitted; what of their displacements
is as rough as style is taken off, and so is what one half of the channels sees and the other does not. Clips that are
in step already get a prior that keeps them there. Between its stages: how clean are the features? The cleaner, the
weaker the prior ought to be.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from tpl_lightning.functional.cpab import cell_slopes, cpab_warp
from tpl_lightning.functional.joint import JointOptions, disagreement, fit_jointly, targets
from tpl_lightning.functional.smoothing import sample_rows, smoothed, stage_size, time_slope
from tpl_lightning.functional.timing_space import TimingSpace, channel_energy

__all__ = ["Tempo", "adapted", "some_of_each", "stiffness_of", "tempo"]

_TRIED, _TRIED_OF_EACH = 96, 8  # videos that warps are tried on: so many in all, or so many of each action
_FEWEST = 4  # channels that share the energy, as many as equal ones would be (participation ratio), for two halves
_TRIAL = JointOptions(num_cells=8, smoothness=0.2, stages=(0.1, 0.025), rounds=1)  # how they are fitted: in two steps
_STYLE = 0.013  # displacement per slope, mean squares, of what is not tempo: it changes over a ninth of the video
_STYLE_SHOWS = 2e-3  # most of it, mean square, per residual
_TRUSTED = 0.25  # residual from which on halves of the channels are asked what they agree on
_SURE = 2.0  # standard errors that this may be off
_UNEVEN = 8e-4  # variance of the time of a moment from which on clips are not in step: .028 of the video
_NOISY = 0.1  # residual from which on it takes no stronger prior
_STEEP, _STIFFEST = 1.5, 1024.0  # how the prior grows with less tempo, and to how many times what is set


class Tempo(NamedTuple):
    """How videos differ in tempo."""

    variance: float
    """How far moments lie from where linear rescaling puts them, a mean square in videos; not above 0: nowhere."""
    residual: float
    """Share of what changes in a video that the others of its action do not show at the same prototype time."""


def some_of_each(action: Tensor, most: int) -> Tensor:
    """Return which of the videos (N,) are among ``most`` of their action, evenly spread over it."""
    count = torch.bincount(action)[action]
    number = torch.empty_like(action)  # of a video among those of its action
    order = torch.argsort(action, stable=True)
    first = torch.cat([action.new_zeros(1), torch.bincount(action).cumsum(0)[:-1]])
    number[order] = torch.arange(len(action), device=action.device) - first[action[order]]
    # floor(k most / count) grows at ``most`` of the numbers k.
    return (number + 1) * most // count > number * most // count


def _displacements(signal: Tensor, action: Tensor, *, num_actions: int) -> tuple[Tensor, Tensor]:
    """Fit small warps to videos (N, G, C): prototype times (N, G), and how far these are from the identity."""
    theta = fit_jointly(signal, action, num_actions=num_actions, options=_TRIAL).theta
    grid = torch.linspace(0, 1, signal.shape[1], device=signal.device)
    times = cpab_warp(theta, grid, num_cells=_TRIAL.num_cells)
    return times, times - grid


def _most_agreed(features: Tensor, action: Tensor, share: Tensor, *, num_actions: int, space: TimingSpace) -> float:
    """Return the most variance that displacements in every second channel and in the rest can have in common.

    Noise of their own adds nothing to their mean product; to it come the standard errors that it may be off.

    Args:
        features: (N, G, C), C >= 2.
        action: (N,).
        share: (N,) what the variance of a video counts.
        num_actions: A.
        space: Its derivatives are put beside the halves.
    """
    size = features.shape[2] // 2 * 2
    halves = torch.cat([features[..., 0:size:2], features[..., 1:size:2]])
    both = torch.cat([action, action + num_actions])
    signal = replace(space, metric=None).fit(halves)[1]
    one, other = _displacements(signal, both, num_actions=2 * num_actions)[1].chunk(2)
    agreed = share * (one * other).mean(1)
    return float(agreed.mean() + _SURE * agreed.std() / len(agreed) ** 0.5)


def tempo(signal: Tensor, features: Tensor, action: Tensor, *, num_actions: int, space: TimingSpace) -> Tempo:
    """Measure how videos differ in tempo, without labels.

    Small warps move a moment by d. Two things besides tempo do. Style lets one feature of a video come early and the
    next one late, and is told by its roughness: where it keeps for a length l of the video, mean d^2 is l^2 mean d'^2.
    So much is taken off, but no more than residuals tell of: videos that differ in nothing but tempo have none. And
    noise, where there is much, makes smooth warps, too, but other ones in every second channel than in the rest: there
    is no more tempo than the two agree on, give or take two standard errors.

    Args:
        signal: (N, G, K) in the space of comparison, whose metric tells signal from noise.
        features: (N, G, C) on the shared grid, C >= 2, for the halves: a metric learned from noise shows the same in
            both.
        action: (N,).
        num_actions: A.
        space: Its derivatives are put beside the halves.
    """
    some = some_of_each(action, max(_TRIED // num_actions, _TRIED_OF_EACH))
    count = torch.bincount(action[some])[action]
    some &= count > 1
    signal, features, action, count = signal[some], features[some], action[some], count[some]
    if len(action) == 0:
        return Tempo(0.0, 0.0)
    # The mean warp of the n videos of an action is kept at the identity, which takes 1 / n of the variance away.
    share = count / (count - 1)
    times, moved = _displacements(signal, action, num_actions=num_actions)
    rough = time_slope(moved.unsqueeze(-1)).squeeze(-1)
    varied, varied_slope = ((share * x.square().mean(1)).mean().item() for x in (moved, rough))
    unexplained = disagreement(sample_rows(signal, times), action, num_actions=num_actions)
    residual = unexplained / max(float(channel_energy(signal).sum()), 1e-12)
    smooth = varied - min(_STYLE * varied_slope, _STYLE_SHOWS * residual)
    if residual < _TRUSTED:
        return Tempo(smooth, residual)
    return Tempo(min(smooth, _most_agreed(features, action, share, num_actions=num_actions, space=space)), residual)


def stiffness_of(signal: Tensor, features: Tensor, action: Tensor, *, num_actions: int, space: TimingSpace) -> float:
    """Return how many times stronger the prior ought to be, 1 to 1024: the stronger the less tempos differ.

    Clean features ask for less of it, in proportion to their noise.

    Args:
        signal: (N, G, K) in the space of comparison.
        features: (N, G, C) on the shared grid.
        action: (N,).
        num_actions: A.
        space: See :func:`tempo`.
    """
    energy = channel_energy(features)
    if energy.sum().square() < _FEWEST * energy.square().sum() or energy.sum() == 0:
        return 1.0  # where few channels hold all that changes, half of them may know nothing of the tempo
    found = tempo(signal, features, action, num_actions=num_actions, space=space)
    stiffness = (_UNEVEN / max(found.variance, 1e-12)) ** _STEEP * min(found.residual / _NOISY, 1.0)
    return min(max(stiffness, 1.0), _STIFFEST)


_WORTH_IT = 0.9  # of the prior's weight; one that is hardly weaker changes little
_LEVELS_WORTH_IT = 0.25  # of freedom more that levels ought to have; less does not either


def adapted(
    theta: Tensor,
    signal: Tensor,
    aligned: Tensor,
    action: Tensor,
    *,
    num_actions: int,
    options: JointOptions,
    share: float,
) -> JointOptions:
    """Return options with the prior, and the freedom of levels, that suit what a fit has found.

    With independent noise of variance s in n samples of the residual and slopes of variance v, the most likely warp has
    a prior of weight s / (n v); with levels of variance l, the freedom of a level is l / (l + s / n). ``share`` stands
    for 1 / n: residuals change about 20 times in a video.

    Args:
        theta: (N, d) what a fit with ``options`` has found.
        signal: (N, G, K) what was fitted.
        aligned: (N, G, K) the same at prototype times.
        action: (N,).
        num_actions: A.
        options: The prior only ever gets weaker, and levels freer.
        share: 0: options stay as they are.
    """
    slope = cell_slopes(theta.double(), num_cells=options.num_cells).square().mean()
    if share == 0 or slope == 0:
        return options
    grid = torch.linspace(0, 1, signal.shape[1], dtype=signal.dtype, device=signal.device)
    target = targets(aligned, action, num_actions=num_actions, options=options)[0]
    residual = sample_rows(target, cpab_warp(-theta, grid, num_cells=options.num_cells)) - signal
    level = residual.mean(1, keepdim=True)
    among = level.square().sum(-1).mean()
    # As the last stage will see it, whatever stage the fit has reached: smoother signals hide some of the noise.
    seen = smoothed(residual, options.stages[-1], stage_size(options.stages[-1], residual.shape[1]))
    error = (seen.square().mean(1) - options.level_freedom * seen.mean(1).square()).sum(-1).mean()
    freedom = float(among / (among + share * (residual - level).square().sum(-1).mean()).clamp(min=1e-12))
    weaker = share * float(error / slope)
    if weaker < _WORTH_IT * options.smoothness:
        options = replace(options, smoothness=weaker)
    if freedom > options.level_freedom + _LEVELS_WORTH_IT:
        options = replace(options, level_freedom=freedom)
    return options
