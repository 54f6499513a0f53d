"""What the joint fit decides by itself: detail, open ends, idle ends, the strength of its prior."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.aligners.prior_choice import STRENGTHS, PriorChoice, labels_choose, select_prior
from tpl_lightning.aligners.training_videos import FINE_GRID, GRID_LIMITS, TrainingVideos
from tpl_lightning.functional.warps import video_times
from tpl_lightning.groupwise import JointModel, JointOptions, JointStart, agreement, channel_energy

__all__ = ["ends_differ", "fit_with_chosen_prior", "needs_detail", "needs_open_ends", "without_idle_ends"]

_LONG = 200  # frames of a prototype from which on detail is tried
_FEW = 400  # videos; detail takes some 20 ms for each
_TRIED, _TRIED_ACTIONS = 8, 5  # videos of an action and actions on which it is tried
_STILL = 1e-6  # of the variance of the channel that changes most: with less, a channel says nothing
_MOVED = 0.033  # of the prototype, between an end and the median of its action on average: with more, ends differ
_WORTH_IT = 0.03  # of explained variance in held-out channels that detail has to bring
_STILL_SHARES = (0.005, 0.01, 0.02, 0.03, 0.05)  # of a prototype's motion, that ends which stand still may hold
_OBJECTION = 0.01  # of score, from which on labels want a still end kept


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
    coarse, fine = (replace(train.options(fine=it), adapt=0.0) for it in (False, True))
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
    return agreement(held_out, times, train.action, num_actions=train.num_actions)


def needs_open_ends(train: TrainingVideos) -> bool:
    """Tell whether ends are to be open (``warp.ends``): where a fit with open ends moves them clearly, without labels.

    Ends of clips that are whole lie within .003 to .030 of the median of their action, on average, as features are
    noisy; those of clips that lose up to a fifth of their length at each end within .036 to .070.
    """
    if train.config.warp.ends != "auto":
        return train.config.warp.ends == "open"
    train = train.subset(actions=_TRIED_ACTIONS, each=_TRIED)
    theta = train.start(train.features(GRID_LIMITS[0]), train.options(ends=True)).fit()[1]
    return ends_differ(theta[:, -2:], train.action)


def ends_differ(ends: Tensor, action: Tensor) -> bool:
    """Tell whether open ends (N, 2) lie clearly apart from the median of their action (N,)."""
    moved = [ends[action == a] - ends[action == a].median(0).values for a in action.unique()]
    return float(torch.cat(moved).abs().mean()) > _MOVED


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


def without_idle_ends(
    train: TrainingVideos, start: JointStart, model: JointModel, theta: Tensor
) -> tuple[JointModel, Tensor]:
    """Take ends that stand still off the prototypes, where labels of training videos do not object.

    Whether a figure that waits belongs to the action, no features tell: a hold that is cut short looks like it.
    """
    action = start.action

    def trimmed(share: float) -> tuple[Tensor, Tensor]:
        """Return theta, and the score of each action."""
        bounds = model.still_ends(share)[action] if share > 0 else theta.new_tensor([0.0, 1.0]).expand(len(theta), 2)
        length = bounds[:, 1:] - bounds[:, :1]
        cut = torch.cat([theta[:, :-2], (theta[:, -2:] - bounds[:, :1]) / length], 1)
        score = torch.from_numpy(train.held_out_scores(cut, start.options)).to(theta.device)
        return cut, torch.stack([score[action == a].nanmean() for a in range(start.num_actions)])

    found, best = trimmed(0.0)
    for share in _STILL_SHARES:
        cut, score = trimmed(share)
        keep = (score >= best - _OBJECTION)[action]
        found = torch.where(keep.unsqueeze(1), cut, found)
        best = torch.maximum(best, score.nan_to_num(nan=-1.0))
    return start.model(found, model.options, model.stiffness), found
