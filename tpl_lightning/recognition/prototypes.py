"""Prototypes of actions in one space, and how far videos are from them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tpl_lightning.functional import sample_rows
from tpl_lightning.groupwise import DiscriminantSpace, chunks, less_offset, path_positions

_SHRINKAGE = 0.2  # the axes are learned from few videos, and have to serve others
_AXES = 64
_LEVEL_SHRINKAGE = 0.5  # of the scatter of levels: there is one to a video
_AT_ONCE = 2048  # alignments in memory


@dataclass(frozen=True)
class Prototypes:
    """Axes and prototypes of some training videos, and the levels that they lie on."""

    space: DiscriminantSpace
    prototype: Tensor
    """(A, G, K)."""
    level: Tensor
    """(A, C) mean level of each action's videos, in axes in which levels within an action have variance about 1."""
    whiten: Tensor
    """(C, C) what takes levels there."""

    @classmethod
    def of(
        cls, plain: DiscriminantSpace, beside: Tensor, level: Tensor, action: Tensor, num_actions: int
    ) -> "Prototypes":
        """Learn from videos (N, G, C') on the prototype timeline and their levels (N, C)."""
        space = plain.with_metric(beside, action, num_actions=num_actions, channels=_AXES, shrinkage=_SHRINKAGE)
        prototype = _means(less_offset(space.in_metric(beside), 1.0), action, num_actions)
        within = (level - _means(level, action, num_actions)[action]).double()
        scatter = within.T @ within / max(len(within) - num_actions, 1)
        size = scatter.diagonal().mean().clamp(min=1e-12)
        scatter = (1 - _LEVEL_SHRINKAGE) * scatter + _LEVEL_SHRINKAGE * size * torch.eye(len(scatter))
        variance, axes = torch.linalg.eigh(scatter)
        whiten = (axes * variance.clamp(min=1e-12).rsqrt()).to(level.dtype)
        return cls(space, prototype, _means(level @ whiten, action, num_actions), whiten)

    def errors(
        self, beside: Tensor, level: Tensor, rows: Tensor, action: Tensor, shown: Tensor | None = None
    ) -> Tensor:
        """Return the two errors (M, 2) of some videos of (N, G, C') and (N, C), each by an action.

        The first is that of aligning it with the prototype; the best path tells actions apart as well as the smooth
        warp nearest to it, in a tenth of the time. The second is the squared distance of its level.
        """
        signal, level = less_offset(self.space.in_metric(beside), 1.0), level @ self.whiten
        found = [signal.new_zeros(0)]
        for part in chunks(len(rows), _AT_ONCE):
            target = self.prototype[action[part]]
            if shown is not None:  # (M, 2) prototype times of the first and the last frame
                target = _shown(target, shown[part])
            found.append(discordance(signal[rows[part]], target))
        return torch.stack([torch.cat(found), (level[rows] - self.level[action]).square().mean(1)], 1)

    def all_errors(self, beside: Tensor, level: Tensor) -> Tensor:
        """Return the errors (N, A, 2) of every video by every action."""
        pairs = torch.cartesian_prod(torch.arange(len(beside)), torch.arange(len(self.prototype)))
        return self.errors(beside, level, pairs[:, 0], pairs[:, 1]).view(len(beside), -1, 2)


def _means(values: Tensor, action: Tensor, num_actions: int) -> Tensor:
    """Return the mean of each action's rows; 0 where it has none."""
    count = torch.bincount(action, minlength=num_actions).clamp(min=1).view(-1, *[1] * (values.dim() - 1))
    return values.new_zeros(num_actions, *values.shape[1:]).index_add(0, action, values) / count


def _shown(target: Tensor, shown: Tensor) -> Tensor:
    """Return targets (M, G, K) between two times each, (M, 2), on their grid; parts without their level."""
    share = shown[:, 1:] - shown[:, :1]
    part = sample_rows(target, shown[:, :1] + share * torch.linspace(0, 1, target.shape[1]))
    return torch.where((share < 1).unsqueeze(2), less_offset(part, 1.0), target)


def discordance(video: Tensor, target: Tensor) -> Tensor:
    """Return the error (M,) of videos (M, G, K) along their best paths to targets (M, G, K).

    It is the mean squared distance over the mean of both energies, 1 less Lin's concordance: 0 where they are equal, 1
    where they have nothing in common, and also where nothing happens in a video, whose squared distance is small. Half
    of it is over the video's points and half over the target's, so that neither can pass over a part of the other.
    """
    position = path_positions(video, target).cummax(1).values
    matched = sample_rows(target, position), sample_rows(video, inverse_positions(position))
    distance = (matched[0] - video).square().sum(-1).mean(1) + (matched[1] - target).square().sum(-1).mean(1)
    energy = torch.stack([x.square().sum(-1).mean(1) for x in (video, target, *matched)]).sum(0)
    return distance / energy.clamp(min=1e-12)


def inverse_positions(position: Tensor) -> Tensor:
    """Return where each even time lies on positions (M, G) that never decrease from 0 to 1, (M, G) in [0, 1]."""
    size = position.shape[1]
    grid = torch.linspace(0, 1, size).expand_as(position).contiguous()
    above = torch.searchsorted(position.contiguous(), grid).clamp(1, size - 1)
    low, high = position.gather(1, above - 1), position.gather(1, above)
    share = ((grid - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
    return (above - 1 + share) / (size - 1)
