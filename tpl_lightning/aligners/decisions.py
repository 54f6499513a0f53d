"""What the joint fit decides by itself: detail, open ends, where actions begin, the strength of its prior."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.aligners.label_targets import labelled_bounds
from tpl_lightning.aligners.prior_choice import STRENGTHS, PriorChoice, labels_choose, select_prior
from tpl_lightning.aligners.training_videos import FINE_GRID, GRID_LIMITS, TrainingVideos, warped_times
from tpl_lightning.functional.warps import between, prototype_times, video_times
from tpl_lightning.groupwise import JointModel, JointOptions, JointStart, channel_energy, explained_variance, mean_rest

ENDS_ARE_OPEN = "Ends are open: clips begin or end at different moments of the action (warp.ends=fixed: all are whole)."
"""What is said where ``warp.ends=auto`` has found it."""

_LONG = 200  # frames of a prototype from which on detail is tried
_FEW = 400  # videos; detail takes some 20 ms for each
_TRIED, _TRIED_ACTIONS = 8, 5  # videos of an action and actions on which it is tried
_STILL = 1e-6  # of the variance of the channel that changes most: with less, a channel says nothing
_FIRM = 6.0  # times the prior on open ends, where it is asked whether they differ
_MOVED = 0.0158  # of the prototype, between an end and the median of its action on average: with more, ends differ
_RESTS = 0.06  # of a prototype, at an end on average: with more, clips wait
_WAITS = 0.09  # the same, of a fit whose prior on ends is as set
_WORTH_IT = 0.03  # of explained variance in held-out channels that detail has to bring


def needs_detail(train: TrainingVideos) -> bool:
    """Tell whether warps are to be in full detail (``direct.detail``): for long recordings, without labels.

    They are where warps that are fitted to half of the channels align the other half, which had no say in them, clearly
    better than coarse warps do. What fits noise in the one is of no use in the other.
    """
    detail = train.config.direct.detail
    if detail != "auto":
        return detail == "fine"
    if np.median(train.metadata["prototype_lengths"]) < _LONG or len(train.videos) > _FEW:
        return False
    train = train.subset(actions=_TRIED_ACTIONS, each=_TRIED)
    features = train.features(FINE_GRID)
    change = channel_energy(features)
    features = features[..., change > _STILL * change.max()]
    if features.shape[2] < 2:
        return False
    # The prior of few videos is not updated: a weaker one flatters warps too coarse for what is there.
    coarse, fine = (replace(train.options(fine=it), empirical_bayes=0.0) for it in (False, True))
    gains: list[float] = []
    for fitted, held_out in ((0, 1), (1, 0)):
        half, other = features[..., fitted::2].contiguous(), features[..., held_out::2]
        before, after = (_explained(train, half, other, options) for options in (coarse, fine))
        gains.append(after - before)
        if gains[0] < _WORTH_IT / 2:  # the other half hardly ever makes up for it
            return False
    return sum(gains) / 2 > _WORTH_IT


def _explained(train: TrainingVideos, fitted: Tensor, held_out: Tensor, options: JointOptions) -> float:
    """Return the explained variance of held-out channels (N, G, C') under warps fitted to others."""
    grid = torch.linspace(0, 1, fitted.shape[1], device=fitted.device)
    times = video_times(train.start(fitted, options).fit()[1], grid, num_cells=options.num_cells)
    return explained_variance(held_out, times, train.action, num_actions=train.num_actions)


def needs_open_ends(train: TrainingVideos) -> bool:
    """Tell whether ends are to be open (``warp.ends``): where a fit to some videos says so, without labels."""
    if train.config.warp.ends != "auto":
        return train.config.warp.ends == "open"
    train = train.subset(actions=_TRIED_ACTIONS, each=_TRIED)
    return ends_differ(train.start(train.features(GRID_LIMITS[0]), train.options(ends=True)))


def ends_differ(start: JointStart) -> bool:
    """Tell whether clips begin and end at different moments, or wait, by what a fit with open ends finds.

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


def fit_with_chosen_prior(train: TrainingVideos, start: JointStart) -> tuple[PriorChoice, JointModel, Tensor]:
    """Return the joint fit; labels of training videos choose how strong its prior is, where they may and can."""
    if train.config.direct.labels > 0 or not labels_choose(train.config.select, train.videos):
        return PriorChoice(1.0, {}), *start.fit()
    fits: dict[float, tuple[JointModel, Tensor]] = {}

    def score(strength: float) -> np.ndarray:
        fits[strength] = start.fit(strength)
        return train.held_out_scores(fits[strength][1], start.options)

    choice = select_prior(STRENGTHS, score)
    return choice, *fits[choice.strength]


def without_rests(
    train: TrainingVideos, start: JointStart, model: JointModel, theta: Tensor
) -> tuple[JointModel, Tensor]:
    """Let actions begin and end where things move on their prototypes, or where labels do, if these may choose.

    Whether a figure that waits belongs to the action, no features tell: a hold that is cut short looks like it.
    """
    bounds = start.moving_ends(theta)
    if mean_rest(bounds) < _WAITS:
        bounds = theta.new_tensor([0.0, 1.0]).expand_as(bounds)
    if labels_choose(train.config.select, train.videos):
        cells = start.options.num_cells
        positions = warped_times(prototype_times, theta.cpu(), train.videos.lengths, num_cells=cells)
        action = start.action.cpu().numpy()
        labelled = labelled_bounds(positions, train.videos, action, num_actions=start.num_actions).to(theta)
        bounds = torch.where(labelled.isnan(), bounds, labelled)
    return replace(model, bounds=bounds), between(theta, bounds[start.action])
