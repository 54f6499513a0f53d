"""How strong the prior of a joint fit ought to be, found without labels (empirical Bayes).

Two questions. Before the last fit: how far do tempos differ at all? Small warps are fitted, and what of their variance
is as timing jitter is taken off. Clips that are in step already get a prior that keeps them there. Between its
scales: how clean are the features? The cleaner, the weaker the prior ought to be.
"""

from dataclasses import replace

import torch
from torch import Tensor

from tpl_lightning.functional import sample_rows, smoothed, stage_size, time_slope
from tpl_lightning.functional.warps import (
    cell_slopes,
    coverage,
    cpab_warp,
    num_parameters,
    prototype_times,
    video_times,
)
from tpl_lightning.groupwise.discriminant import channel_energy
from tpl_lightning.groupwise.energy import less_offset
from tpl_lightning.groupwise.fit import JointOptions, barycenters, fit_jointly, leave_one_out_error

_TRIAL = JointOptions(num_cells=8, smoothness=0.2, scales=(0.1, 0.025), rounds=1)  # how warps are tried: in two steps
_JITTER = 0.013  # displacement per slope, mean squares, of jitter: it changes over a ninth of the video
_JITTER_SHOWS = 2e-3  # most of it, mean square, per residual
_UNEVEN = 8e-4  # variance of the time of a moment from which on clips are not in step: .028 of the video
_NOISY = 0.1  # residual from which on it takes no stronger prior
_STEEP, _MOST = 1.5, 1024.0  # how the prior grows with less tempo, and to how many times what is set


def tempo(signal: Tensor, action: Tensor, *, num_actions: int) -> tuple[float, float]:
    """Measure how videos differ in tempo, without labels.

    Small warps move a moment by d. Jitter does so, too: it lets one feature of a video come early and the next one
    late, and is told by its roughness: where it keeps for a length l of the video, mean d^2 is l^2 mean d'^2. So much
    is taken off, but no more than residuals tell of: videos that differ in nothing but tempo have none.

    Args:
        signal: (N, G, K) in the space of comparison, whose projection tells signal from noise.
        action: (N,).
        num_actions: A.

    Returns:
        The variance of the time of a moment against linear rescaling, in videos, not above 0 where there is none; and
        the residual, the share of what changes in a video that the others do not show at the same prototype time.
    """
    count = torch.bincount(action)[action]
    signal, action, count = signal[count > 1], action[count > 1], count[count > 1]
    if len(action) == 0:
        return 0.0, 0.0
    theta = fit_jointly(signal, action, num_actions=num_actions, options=_TRIAL)
    grid = torch.linspace(0, 1, signal.shape[1], device=signal.device)
    times = cpab_warp(theta, grid, num_cells=_TRIAL.num_cells)
    moved = times - grid
    # The gauge keeps the mean warp of the n videos of an action at the identity: 1 / n of the variance is gone.
    share = count / (count - 1)
    rough = time_slope(moved.unsqueeze(-1)).squeeze(-1)
    varied, varied_slope = ((share * x.square().mean(1)).mean().item() for x in (moved, rough))
    unexplained = leave_one_out_error(sample_rows(signal, times), action, num_actions=num_actions)
    residual = unexplained / max(float(channel_energy(signal).sum()), 1e-12)
    return varied - min(_JITTER * varied_slope, _JITTER_SHOWS * residual), residual


def precision_factor(signal: Tensor, action: Tensor, *, num_actions: int) -> float:
    """Return how many times stronger than set the prior ought to be, 1 to 1024: the stronger the less tempos differ.

    Clean features ask for less of it, in proportion to their noise.

    Args:
        signal: (N, G, K) in the space of comparison.
        action: (N,).
        num_actions: A.
    """
    variance, residual = tempo(signal, action, num_actions=num_actions)
    factor = (_UNEVEN / max(variance, 1e-12)) ** _STEEP * min(residual / _NOISY, 1.0)
    return min(max(factor, 1.0), _MOST)


def regularised(
    theta: Tensor, signal: Tensor, action: Tensor, *, num_actions: int, options: JointOptions
) -> JointOptions:
    """Return options with the prior that suits what a fit has found.

    With independent noise of variance s in n samples of the residual and slopes of variance v, the most likely warp has
    a prior of weight s / (n v). ``options.empirical_bayes`` is 1 / n: residuals change about 20 times in a video.

    Args:
        theta: (N, d) what a fit with ``options`` has found.
        signal: (N, G, K) what was fitted.
        action: (N,).
        num_actions: A.
        options: Their prior only ever gets weaker.
    """
    warp = theta[:, : num_parameters(options.num_cells)].double()
    slope = cell_slopes(warp, num_cells=options.num_cells).square().mean()
    if options.empirical_bayes == 0 or slope == 0:
        return options
    grid = torch.linspace(0, 1, signal.shape[1], dtype=signal.dtype, device=signal.device)
    times, back = (way(theta, grid, num_cells=options.num_cells) for way in (video_times, prototype_times))
    cover = coverage(times) if options.ends else None
    aligned = less_offset(sample_rows(signal, times), options.offset_shrinkage, cover)
    residual = sample_rows(barycenters(aligned, action, num_actions=num_actions, cover=cover)[0], back) - signal
    # As the last stage will see it, whatever stage the fit has reached: smoother signals hide some of the noise.
    seen = smoothed(residual, options.scales[-1], stage_size(options.scales[-1], residual.shape[1]))
    error = (seen.square().mean(1) - options.offset_shrinkage * seen.mean(1).square()).sum(-1).mean()
    return replace(options, smoothness=min(options.empirical_bayes * float(error / slope), options.smoothness))
