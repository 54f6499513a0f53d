"""How strong the prior of a joint fit ought to be, and how free the levels, found without labels.

Two questions. Before the fit: how far do tempos differ at all? Warps are fitted to two halves of the channels, and what
the halves agree on is tempo; clips that are in step already get a prior that keeps them there. After it: how clean are
the features? The cleaner, the weaker the prior ought to be.
"""

from dataclasses import replace

import torch
from torch import Tensor

from tpl_lightning.functional.cpab import cell_slopes, cpab_warp
from tpl_lightning.functional.joint import JointOptions, fit_jointly, targets
from tpl_lightning.functional.smoothing import sample_rows, smoothed, stage_size
from tpl_lightning.functional.timing_space import TimingSpace, channel_energy

__all__ = ["adapted", "some_of_each", "stiffness_of", "tempo_variance"]

_TRIED, _TRIED_OF_EACH = 96, 8  # videos whose halves are compared: so many in all, or so many of each action
_FEWEST = 4  # channels that share the energy, as many as equal ones would be (participation ratio), for two halves
_TRIAL = JointOptions(num_cells=8, smoothness=0.2, stages=(0.1, 0.025), rounds=1)  # how halves are fitted: in two steps
_UNEVEN = 2.5e-4  # variance of the time of a moment from which on clips are not in step: .016 of the video
_STEEP, _STIFFEST = 2.0, 64.0  # how the prior grows below that, and to how many times what is set


def some_of_each(action: Tensor, most: int) -> Tensor:
    """Return which of the videos (N,) are among ``most`` of their action, evenly spread over it."""
    count = torch.bincount(action)[action]
    number = torch.empty_like(action)  # of a video among those of its action
    order = torch.argsort(action, stable=True)
    first = torch.cat([action.new_zeros(1), torch.bincount(action).cumsum(0)[:-1]])
    number[order] = torch.arange(len(action), device=action.device) - first[action[order]]
    # floor(k most / count) grows at ``most`` of the numbers k.
    return (number + 1) * most // count > number * most // count


def tempo_variance(features: Tensor, action: Tensor, *, num_actions: int, space: TimingSpace) -> float:
    """Return how far moments of a video lie from where linear rescaling puts them: a mean square, from two halves.

    One warp is fitted to every second channel, another to the others. Their displacements from the identity hold the
    same tempo and noise of their own, so the mean product is that of the tempo; it can be below 0 where there is none.

    Args:
        features: (N, G, C) on the shared grid, C >= 2.
        action: (N,).
        num_actions: A.
        space: Its derivatives are used, not its metric.
    """
    some = some_of_each(action, max(_TRIED // num_actions, _TRIED_OF_EACH))
    count = torch.bincount(action[some])[action]
    some &= count > 1
    features, action, count = features[some], action[some], count[some]
    if len(action) == 0:
        return 0.0
    size = features.shape[2] // 2 * 2
    halves = torch.cat([features[..., 0:size:2], features[..., 1:size:2]])
    both = torch.cat([action, action + num_actions])
    signal = replace(space, metric=None).fit(halves)[1]
    fit = fit_jointly(signal, both, num_actions=2 * num_actions, options=_TRIAL)
    grid = torch.linspace(0, 1, features.shape[1], device=features.device)
    one, other = (cpab_warp(fit.theta, grid, num_cells=_TRIAL.num_cells) - grid).chunk(2)
    # The mean warp of the n videos of an action is kept at the identity, which takes 1 / n of the variance away.
    return float(((one * other).mean(1) * count / (count - 1)).mean())


def stiffness_of(features: Tensor, action: Tensor, *, num_actions: int, space: TimingSpace) -> float:
    """Return how many times stronger the prior ought to be, 1 to 64: the stronger the less tempos differ.

    Args:
        features: (N, G, C) on the shared grid.
        action: (N,).
        num_actions: A.
        space: See :func:`tempo_variance`.
    """
    energy = channel_energy(features)
    if energy.sum().square() < _FEWEST * energy.square().sum() or energy.sum() == 0:
        return 1.0  # where few channels hold all that changes, half of them may know nothing of the tempo
    variance = tempo_variance(features, action, num_actions=num_actions, space=space)
    return min(max((_UNEVEN / max(variance, 1e-12)) ** _STEEP, 1.0), _STIFFEST)


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
