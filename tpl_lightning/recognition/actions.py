"""Prototypes of all actions in one space, and how far videos are from each.

A video is aligned with every prototype; what is left is the mean squared distance per point of the prototype timeline.
An action whose videos differ more among themselves may differ more from a new one, too: the error is divided by the
median error of the action's own training videos, or by its root, or by nothing, as names most of them right. They are
scored by prototypes and axes that have not seen them
(cross-validation over the training videos), which also tells where "none of them" begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.config import DataConfig
from tpl_lightning.data import Preprocessor, VideoSet
from tpl_lightning.evaluation import prototype_grid
from tpl_lightning.functional import resample_to_size, sample_rows
from tpl_lightning.groupwise import DiscriminantSpace, chunks, less_offset, path_positions

__all__ = ["GRID", "ActionModel", "Verdict"]

GRID = 64
"""Points at which videos are compared; prototypes are told apart by what takes a tenth of an action, not less."""
_DERIVATIVE, _SIGMA = 0.5, 0.02  # share of the energy, and smoothing as a share of the video
_SHRINKAGE = 0.2  # the axes are learned from few videos, and have to serve others
_AXES = 64
_LEVEL_SHRINKAGE = 0.5  # of the scatter of levels: there is one to a video
_WEIGHTS = (0.0, 0.1, 0.3, 1.0)  # of levels beside alignments, of which training videos choose
_SHARES = (0.0, 0.5, 1.0)  # of what is usual for an action in the unit of its error; training videos choose
_FAR = 0.4  # of the way from what is usual for an action to what is for others, in the logarithm
_FOLDS = 5
_SURE, _RARE = 0.95, 0.99  # of the training videos
_UNKNOWN = 0.25  # error, where no action has two videos
_TRAINING = 40  # videos of an action that are enough
_AT_ONCE = 2048  # alignments in memory


@dataclass(frozen=True)
class Verdict:
    """What a video shows, by its errors relative to those of each action's training videos.

    Attributes:
        action: The nearest action; None: it is none of them.
        nearest: The nearest action in any case.
        score: Its relative error; 1 is that of a usual training video.
        margin: How many times larger the next action's is.
        limit: The relative error from which on it is none.
    """

    action: str | None
    nearest: str
    score: float
    margin: float
    limit: float

    def words(self) -> str:
        """Say it in a sentence."""
        far = f"{self.score:.1f} times the error of its training videos"
        if self.action is None:
            return f"none of the actions, skipped (nearest {self.nearest}: {far}, more than {self.limit:.1f})"
        if self.margin == float("inf"):
            return f"shows {self.action} ({far})"
        return f"shows {self.action} ({far}; the next action's is {self.margin:.1f} times that)"


@dataclass(frozen=True)
class _Fit:
    """Axes and prototypes of some training videos, and the levels that they lie on."""

    space: DiscriminantSpace
    prototype: Tensor
    """(A, G, K)."""
    level: Tensor
    """(A, C) mean level of each action's videos, in axes in which levels within an action have variance about 1."""
    whiten: Tensor
    """(C, C) what takes levels there."""

    @classmethod
    def of(cls, plain: DiscriminantSpace, beside: Tensor, level: Tensor, action: Tensor, num_actions: int) -> "_Fit":
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
            found.append(_discordance(signal[rows[part]], target))
        return torch.stack([torch.cat(found), (level[rows] - self.level[action]).square().mean(1)], 1)


def _means(values: Tensor, action: Tensor, num_actions: int) -> Tensor:
    """Return the mean of each action's rows; 0 where it has none."""
    count = torch.bincount(action, minlength=num_actions).clamp(min=1).view(-1, *[1] * (values.dim() - 1))
    return values.new_zeros(num_actions, *values.shape[1:]).index_add(0, action, values) / count


def _shown(target: Tensor, shown: Tensor) -> Tensor:
    """Return targets (M, G, K) between two times each, (M, 2), on their grid; parts without their level."""
    share = shown[:, 1:] - shown[:, :1]
    part = sample_rows(target, shown[:, :1] + share * torch.linspace(0, 1, target.shape[1]))
    return torch.where((share < 1).unsqueeze(2), less_offset(part, 1.0), target)


def _discordance(video: Tensor, target: Tensor) -> Tensor:
    """Return the error (M,) of videos (M, G, K) along their best paths to targets (M, G, K).

    It is the mean squared distance over the mean of both energies, 1 less Lin's concordance: 0 where they are equal, 1
    where they have nothing in common, and also where nothing happens in a video, whose squared distance is small. Half
    of it is over the video's points and half over the target's, so that neither can pass over a part of the other.
    """
    position = path_positions(video, target).cummax(1).values
    matched = sample_rows(target, position), sample_rows(video, _inverse(position))
    distance = (matched[0] - video).square().sum(-1).mean(1) + (matched[1] - target).square().sum(-1).mean(1)
    energy = torch.stack([x.square().sum(-1).mean(1) for x in (video, target, *matched)]).sum(0)
    return distance / energy.clamp(min=1e-12)


def _inverse(position: Tensor) -> Tensor:
    """Return where each even time lies on positions (M, G) that never decrease from 0 to 1, (M, G) in [0, 1]."""
    size = position.shape[1]
    grid = torch.linspace(0, 1, size).expand_as(position).contiguous()
    above = torch.searchsorted(position.contiguous(), grid).clamp(1, size - 1)
    low, high = position.gather(1, above - 1), position.gather(1, above)
    share = ((grid - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
    return (above - 1 + share) / (size - 1)


class ActionModel:
    """The actions of a run.

    Args:
        train: Its training videos.
        sources: Of each, T^theta at the points of its prototype.
        data: How embeddings are preprocessed.
    """

    def __init__(self, train: VideoSet, sources: Sequence[np.ndarray], data: DataConfig) -> None:
        """Learn axes and prototypes, and score the training videos by those of the others."""
        self.actions = train.actions
        self.preprocessor = Preprocessor.fit(train, data)
        code = {name: number for number, name in enumerate(self.actions)}
        action = np.array([code[str(name)] for name in train.action])
        some = np.sort(np.concatenate([_spread(np.flatnonzero(action == a)) for a in range(len(self.actions))]))
        plain = DiscriminantSpace(_DERIVATIVE, _SIGMA)
        features, level = self._clips([train.read(row) for row in some.tolist()])
        self.plain, beside = plain.fit(features)
        seconds = train.lengths / train.fps
        self.duration_s = np.array([np.median(seconds[action == a]) for a in range(len(self.actions))])
        grid = np.linspace(0, 1, GRID)
        chosen = [sources[row] for row in some.tolist()]
        times = np.stack([np.interp(grid, prototype_grid(len(source)), source) for source in chosen])
        aligned = sample_rows(beside, torch.from_numpy(times).float())
        self._learn(beside, aligned, level, torch.from_numpy(action[some]))

    def _learn(self, beside: Tensor, aligned: Tensor, level: Tensor, action: Tensor) -> None:
        """Fit, and measure what is usual for training videos that are left out, and what is too far."""
        count = len(self.actions)
        self.fit = _Fit.of(self.plain, aligned, level, action, count)
        errors = self._held_out(beside, aligned, level, action)
        own = errors[torch.arange(len(action)), action]
        usual = torch.stack([own[action == a].nanmedian(0).values for a in range(count)])
        spare = usual.nanmedian(0).values.nan_to_num(_UNKNOWN)
        self.usual = torch.where(usual.isnan(), spare, usual).clamp(min=1e-6)
        """(A, 2) errors of a usual training video."""
        choices = [_Limits.of(self._weighed(errors, weight), action, self.usual, weight) for weight in _WEIGHTS]
        self.limits = max(choices, key=lambda limits: limits.separation)
        self.weight, self.threshold = self.limits.weight, self.limits.threshold
        relative = self._weighed(errors, self.weight).nan_to_num(torch.inf)
        right = {share: float((self._ranks(relative, share).argmin(1) == action).float().mean()) for share in _SHARES}
        self.share = max(_SHARES, key=lambda share: right[share])

    def _ranks(self, relative: Tensor, share: float) -> Tensor:
        """Return what is least for the action that a video shows: relative errors, in units nearer to one for all."""
        return relative * self.usual[:, 0] ** (1 - share)

    def _weighed(self, errors: Tensor, weight: float) -> Tensor:
        """Return errors (..., A, 2) relative to what is usual, both in one, (..., A)."""
        relative = errors / self.usual
        return (relative[..., 0] + weight * relative[..., 1]) / (1 + weight)

    def _held_out(self, beside: Tensor, aligned: Tensor, level: Tensor, action: Tensor) -> Tensor:
        """Return the errors (N, A, 2) of training videos by what was learned of others; NaN: there are none."""
        count = len(self.actions)
        errors = aligned.new_full((len(action), count, 2), torch.nan)
        fold = torch.zeros_like(action)
        for a in range(count):  # every fold has some of each action
            mine = (action == a).nonzero().squeeze(1)
            fold[mine] = torch.arange(len(mine)) % _FOLDS
        for held in range(_FOLDS):
            rows, others = (fold == held).nonzero().squeeze(1), fold != held
            if not len(rows) or not others.any():
                continue
            fit = _Fit.of(self.plain, aligned[others], level[others], action[others], count)
            known = torch.bincount(action[others], minlength=count) > 0
            errors[rows] = torch.where(known.unsqueeze(1), self._each(fit, beside[rows], level[rows]), torch.nan)
        return errors

    def _each(self, fit: _Fit, beside: Tensor, level: Tensor) -> Tensor:
        """Return the errors (N, A, 2) of every video by every action."""
        rows, action = torch.arange(len(beside)), torch.arange(len(self.actions))
        pairs = torch.cartesian_prod(rows, action)
        return fit.errors(beside, level, pairs[:, 0], pairs[:, 1]).view(len(beside), -1, 2)

    def values(self, embeddings: np.ndarray) -> Tensor:
        """Return what is compared of frames (F, C): as preprocessed, but for the centring and scaling of each video."""
        frames = torch.from_numpy(np.ascontiguousarray(embeddings, dtype=np.float32))
        maker = self.preprocessor
        projected = frames if maker.components is None else frames @ maker.components.T
        return projected / (maker.scale or 1.0)

    def on_grid(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features (N, G, C) of clips and their levels (N, C).

        Args:
            values: (F, C) from :meth:`values`, of one clip behind the other.
            lengths: (N,) frames of each.
        """
        features = resample_to_size(values, lengths, GRID)
        level = features.mean(1)
        features = features - level.unsqueeze(1)
        if self.preprocessor.scale is None:
            size = features.square().sum(-1).mean(1).sqrt().clamp(min=1e-6).view(-1, 1, 1)
            features, level = features / size, level / size.view(-1, 1)
        return features, level

    def beside(self, level: Tensor, slope: Tensor) -> Tensor:
        """Return features (T, C) with time derivatives, in units of a whole action, beside them, (T, C')."""
        share = self.plain.derivative
        return torch.cat([(1 - share) ** 0.5 * level, share**0.5 / self.plain.derivative_scale * slope], -1)

    def errors(self, videos: Sequence[np.ndarray]) -> Tensor:
        """Return the errors (N, A) of clips (L_i, C) by every action, relative to its training videos'."""
        features, level = self._clips(videos)
        return self._weighed(self._each(self.fit, self.plain(features), level), self.weight)

    def errors_of(self, values: Tensor, lengths: Tensor, action: Tensor, shown: Tensor) -> Tensor:
        """Return the error (N,) of clips as of :meth:`on_grid`, each by one action, over the action's threshold.

        Args:
            values: (F, C) from :meth:`values`, of one clip behind the other.
            lengths: (N,) frames of each.
            action: (N,).
            shown: (N, 2) prototype times of each clip's first and last frame. The level of a part says nothing.
        """
        features, level = self.on_grid(values, lengths)
        share = shown[:, 1] - shown[:, 0]
        beside = self.beside_whole(features, share)
        errors = self.fit.errors(beside, level, torch.arange(len(lengths)), action, shown)
        relative = errors / self.usual[action]
        weight = torch.where(share < 1, 0.0, self.weight)
        total = (relative[:, 0] + weight * relative[:, 1]) / (1 + weight)
        return total / self.threshold[action]

    def beside_whole(self, features: Tensor, share: Tensor) -> Tensor:
        """Return features (N, G, C) of shares (N,) of an action, beside them derivatives in units of all of it."""
        beside = self.plain(features)
        beside[..., features.shape[2] :] /= share.view(-1, 1, 1)
        return beside

    def _clips(self, videos: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        parts = [self.on_grid(self.values(video), torch.tensor([len(video)])) for video in videos]
        return torch.cat([features for features, _ in parts]), torch.cat([level for _, level in parts])

    def verdicts(self, errors: Tensor) -> list[Verdict]:
        """Say what videos show, by their relative errors (N, A)."""
        found = []
        for row, ranks in zip(errors, self._ranks(errors, self.share), strict=True):
            ranked = ranks.sort()
            number = int(ranked.indices[0])
            score, limit, name = float(row[number]), float(self.limits.clip[number]), self.actions[number]
            ranked_error = max(float(ranked.values[0]), 1e-9)
            margin = float(ranked.values[1]) / ranked_error if len(row) > 1 else float("inf")
            found.append(Verdict(name if score <= limit else None, name, score, margin, limit))
        return found


@dataclass(frozen=True)
class _Limits:
    """Where each action ends, for one weight of the level.

    Attributes:
        weight: Of the level's relative error beside that of the alignment.
        threshold: (A,) relative error at which a stretch of a recording is none of the action.
        clip: (A,) that of a clip, which somebody has cut, so that it is one of the actions more likely.
        separation: How many times larger errors by other actions are than by the own, in the logarithm.
    """

    weight: float
    threshold: Tensor
    clip: Tensor
    separation: float

    @classmethod
    def of(cls, relative: Tensor, action: Tensor, usual: Tensor, weight: float) -> "_Limits":
        """Decide by the relative errors (N, A) of training videos that were left out.

        A threshold lies between what training videos have by their own action and what those of other actions have by
        it, in the logarithm; a video in which nothing happens counts as one of these.
        """
        own = relative.gather(1, action.unsqueeze(1)).squeeze(1)
        known = own.isfinite()
        pooled = float(own[known].quantile(_SURE)) if known.any() else 1.0
        thresholds, limits, separations = [], [], []
        rare = float(own[known].quantile(_RARE)) if known.any() else 1.0
        for number in range(len(usual)):
            mine, others = own[known & (action == number)], relative[action != number, number]
            near = (pooled * float(mine.quantile(_SURE))) ** 0.5 if len(mine) >= _FOLDS else pooled
            others = others[others.isfinite()]
            still = (1 / float(usual[number, 0]) + weight) / (1 + weight)
            far = min(float(others.quantile(1 - _SURE)), still) if len(others) else still
            thresholds.append(max(near, near ** (1 - _FAR) * far**_FAR))
            limits.append(max(rare, near**_FAR * far ** (1 - _FAR)))
            separations.append(np.log(max(far, 1e-9) / near))
        return cls(weight, torch.tensor(thresholds), torch.tensor(limits), float(np.mean(separations)))


def _spread(rows: np.ndarray) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, min(_TRAINING, len(rows))).round().astype(int)]
