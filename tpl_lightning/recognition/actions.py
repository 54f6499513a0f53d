"""Prototypes of all actions in one space, and how far videos are from each.

A video is aligned with every prototype; what is left is the mean squared distance per point of the prototype timeline.
An action whose videos differ more among themselves may differ more from a new one, too: the error is divided by the
median error of the action's own training videos. These are scored by prototypes and axes that have not seen them
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
from tpl_lightning.groupwise import TimingSpace, chunks, less_level, path_positions

__all__ = ["GRID", "ActionModel", "Verdict"]

GRID = 64
"""Points at which videos are compared; prototypes are told apart by what takes a tenth of an action, not less."""
_DERIVATIVE, _SIGMA = 0.5, 0.02  # share of the energy, and smoothing as a share of the video
_SHRINKAGE = 0.2  # the axes are learned from few videos, and have to serve others
_AXES = 64
_FOLDS = 5
_SURE = 0.95  # of the training videos
_UNKNOWN = 0.25  # of the energy of a prototype, where no action has two videos
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
    """

    action: str | None
    nearest: str
    score: float
    margin: float

    def words(self, threshold: float) -> str:
        """Say it in a sentence."""
        far = f"{self.score:.1f} times the error of its training videos"
        if self.action is None:
            return f"none of the actions, skipped (nearest {self.nearest}: {far}, more than {threshold:.1f})"
        if self.margin == float("inf"):
            return f"shows {self.action} ({far})"
        return f"shows {self.action} ({far}; the next action's is {self.margin:.1f} times that)"


@dataclass(frozen=True)
class _Fit:
    """Axes and prototypes of some training videos."""

    space: TimingSpace
    prototype: Tensor
    """(A, G, K)."""

    @classmethod
    def of(cls, plain: TimingSpace, beside: Tensor, action: Tensor, num_actions: int) -> "_Fit":
        """Learn from videos (N, G, C') on the prototype timeline."""
        space = plain.with_metric(
            beside, action, num_actions=num_actions, channels=_AXES, shrinkage=_SHRINKAGE
        )
        aligned = less_level(space.in_metric(beside), 1.0)
        count = torch.bincount(action, minlength=num_actions).clamp(min=1).view(-1, 1, 1)
        total = aligned.new_zeros(num_actions, *aligned.shape[1:]).index_add(0, action, aligned)
        return cls(space, total / count)

    def errors(self, beside: Tensor, rows: Tensor, action: Tensor) -> Tensor:
        """Return the error (M,) of aligning some videos of (N, G, C') each with an action's prototype.

        The best path tells actions apart as well as the smooth warp nearest to it, in a tenth of the time.
        """
        signal = less_level(self.space.in_metric(beside), 1.0)
        found = [signal.new_zeros(0)]
        for part in chunks(len(rows), _AT_ONCE):
            video, target = signal[rows[part]], self.prototype[action[part]]
            found.append((sample_rows(target, path_positions(video, target)) - video).square().sum(-1).mean(1))
        return torch.cat(found)


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
        plain = TimingSpace(_DERIVATIVE, _SIGMA)
        self.plain, beside = plain.fit(self.on_grid([train.read(row) for row in some.tolist()]))
        seconds = train.lengths / train.fps
        self.duration_s = np.array([np.median(seconds[action == a]) for a in range(len(self.actions))])
        grid = np.linspace(0, 1, GRID)
        chosen = [sources[row] for row in some.tolist()]
        times = np.stack([np.interp(grid, prototype_grid(len(source)), source) for source in chosen])
        aligned = sample_rows(beside, torch.from_numpy(times).float())
        self._learn(beside, aligned, torch.from_numpy(action[some]))

    def _learn(self, beside: Tensor, aligned: Tensor, action: Tensor) -> None:
        """Fit, and measure what is usual for training videos that are left out, and what is too far."""
        count = len(self.actions)
        self.fit = _Fit.of(self.plain, aligned, action, count)
        errors = self._held_out(beside, aligned, action)
        energy = self.fit.prototype.square().sum(-1).mean(1)  # the error of a video in which nothing happens
        own = errors.gather(1, action.unsqueeze(1)).squeeze(1)
        share = torch.stack([own[action == a].nanmedian() for a in range(count)]) / energy
        share = torch.where(share.isnan(), share.nanmedian().nan_to_num(_UNKNOWN), share)
        self.usual = (share * energy).clamp(min=1e-9)
        relative = errors / self.usual
        near = relative.gather(1, action.unsqueeze(1)).squeeze(1)
        far = relative.scatter(1, action.unsqueeze(1), torch.nan).nan_to_num(torch.inf).amin(1)
        self.threshold = _between(near[near.isfinite()], far[far.isfinite()], float((energy / self.usual).min()))

    def _held_out(self, beside: Tensor, aligned: Tensor, action: Tensor) -> Tensor:
        """Return the errors (N, A) of training videos by axes and prototypes of the others; NaN: there are none."""
        count, errors = len(self.actions), aligned.new_full((len(action), len(self.actions)), torch.nan)
        fold = torch.zeros_like(action)
        for a in range(count):  # every fold has some of each action
            mine = (action == a).nonzero().squeeze(1)
            fold[mine] = torch.arange(len(mine)) % _FOLDS
        for held in range(_FOLDS):
            rows, others = (fold == held).nonzero().squeeze(1), fold != held
            if not len(rows) or not others.any():
                continue
            fit = _Fit.of(self.plain, aligned[others], action[others], count)
            known = torch.bincount(action[others], minlength=count) > 0
            errors[rows] = torch.where(known, self._each(fit, beside[rows]), torch.nan)
        return errors

    def _each(self, fit: _Fit, beside: Tensor) -> Tensor:
        """Return the error (N, A) of every video against every action."""
        rows, action = torch.arange(len(beside)), torch.arange(len(self.actions))
        pairs = torch.cartesian_prod(rows, action)
        return fit.errors(beside, pairs[:, 0], pairs[:, 1]).view(len(beside), -1)

    def on_grid(self, embeddings: list[np.ndarray]) -> Tensor:
        """Return the features (N, G, C) of whole videos."""
        lengths = [len(values) for values in embeddings]
        packed = self.preprocessor.packed(torch.from_numpy(np.concatenate(embeddings)).float(), lengths)
        return resample_to_size(packed, torch.tensor(lengths), GRID)

    def beside(self, level: Tensor, slope: Tensor) -> Tensor:
        """Return features (T, C) with time derivatives, in units of a whole action, beside them, (T, C')."""
        share = self.plain.derivative
        return torch.cat([(1 - share) ** 0.5 * level, share**0.5 / self.plain.derivative_scale * slope], -1)

    def errors(self, features: Tensor) -> Tensor:
        """Return the errors (N, A) of features (N, G, C) by every action, relative to its training videos'."""
        return self._each(self.fit, self.plain(features)) / self.usual


    def verdicts(self, errors: Tensor) -> list[Verdict]:
        """Say what videos show, by their relative errors (N, A)."""
        found = []
        for row in errors:
            ranked = row.sort()
            nearest, score = self.actions[int(ranked.indices[0])], float(ranked.values[0])
            margin = float(ranked.values[1]) / max(score, 1e-9) if len(row) > 1 else float("inf")
            found.append(Verdict(nearest if score <= self.threshold else None, nearest, score, margin))
        return found


def _between(near: Tensor, far: Tensor, still: float) -> float:
    """Return the relative error at which none of the actions begins.

    It lies halfway, in the logarithm, between what training videos have by their own action and what the nearest of the
    other actions has; a video in which nothing happens counts as one of these.

    Args:
        near: (N,) errors by their own action, of training videos that were left out.
        far: (N,) by the nearest other action.
        still: Of a video in which nothing happens.
    """
    usual = float(near.quantile(_SURE)) if len(near) else 1.0
    other = min(float(far.quantile(1 - _SURE)), still) if len(far) else still
    return max(usual, (usual * other) ** 0.5)


def _spread(rows: np.ndarray) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, min(_TRAINING, len(rows))).round().astype(int)]
