"""What is usual for each action, where it ends, and what a video is said to show."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

FOLDS = 5
"""Parts of the training videos that are left out in turn."""
_WEIGHTS = (0.0, 0.1, 0.3, 1.0)  # of levels beside alignments, of which training videos choose
_SHARES = (0.0, 0.5, 1.0)  # of what is usual for an action in the unit of its error; training videos choose
_FAR = 0.4  # of the way from what is usual for an action to what is for others, in the logarithm
_SURE, _RARE = 0.95, 0.99  # of the training videos
_UNKNOWN = 0.25  # error, where no action has two videos


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
class Limits:
    """Where each action ends.

    Attributes:
        usual: (A, 2) both errors of a usual training video: of its alignment, and of its level.
        weight: Of the level's relative error beside that of the alignment.
        threshold: (A,) relative error at which a stretch of a recording is none of the action.
        clip: (A,) that of a clip, which somebody has cut, so that it is one of the actions more likely.
        separation: How many times larger errors by other actions are than by the own, in the logarithm.
        share: Of what is usual for an action in the unit in which it is compared with others.
    """

    usual: Tensor
    weight: float
    threshold: Tensor
    clip: Tensor
    separation: float
    share: float = 0.0

    @classmethod
    def learn(cls, errors: Tensor, action: Tensor) -> "Limits":
        """Decide by the errors (N, A, 2) of training videos that were left out; NaN: there are none."""
        own = errors[torch.arange(len(action)), action]
        usual = torch.stack([own[action == a].nanmedian(0).values for a in range(errors.shape[1])])
        spare = usual.nanmedian(0).values.nan_to_num(_UNKNOWN)
        usual = torch.where(usual.isnan(), spare, usual).clamp(min=1e-6)
        limits = max((cls._of(errors, action, usual, w) for w in _WEIGHTS), key=lambda limits: limits.separation)
        relative = limits.relative(errors).nan_to_num(torch.inf)
        right = {s: float((limits._ranks(relative, s).argmin(1) == action).float().mean()) for s in _SHARES}
        return replace(limits, share=max(_SHARES, key=lambda share: right[share]))

    @classmethod
    def _of(cls, errors: Tensor, action: Tensor, usual: Tensor, weight: float) -> "Limits":
        """Decide with a weight of the level.

        A threshold lies between what training videos have by their own action and what those of other actions have by
        it, in the logarithm; a video in which nothing happens counts as one of these.
        """
        relative = _weighed(errors / usual, weight)
        is_own = torch.nn.functional.one_hot(action, len(usual)).bool()
        own, others = torch.where(is_own, relative, torch.nan), torch.where(is_own, torch.nan, relative)
        pooled, rare = (own.flatten().nanquantile(q).nan_to_num(1.0).double() for q in (_SURE, _RARE))
        mine = (pooled * own.nanquantile(_SURE, 0).double()).sqrt()
        near = torch.where(own.isfinite().sum(0) >= FOLDS, mine, pooled)
        still = ((1 / usual[:, 0] + weight) / (1 + weight)).double()
        far = torch.fmin(others.nanquantile(1 - _SURE, 0).double(), still)
        threshold = torch.maximum(near, near ** (1 - _FAR) * far**_FAR).float()
        clip = torch.maximum(rare, near**_FAR * far ** (1 - _FAR)).float()
        return cls(usual, weight, threshold, clip, float((far.clamp(min=1e-9) / near).log().mean()))

    def relative(self, errors: Tensor) -> Tensor:
        """Return errors (..., A, 2) relative to what is usual, both in one, (..., A)."""
        return _weighed(errors / self.usual, self.weight)

    def over(self, errors: Tensor, action: Tensor, is_whole: Tensor) -> Tensor:
        """Return errors (M, 2), each by one action (M,), over its threshold; the level of a part says nothing."""
        weight = torch.where(is_whole, self.weight, 0.0)
        return _weighed(errors / self.usual[action], weight) / self.threshold[action]

    def verdicts(self, errors: Tensor, names: Sequence[str]) -> list[Verdict]:
        """Say what videos show, by their relative errors (N, A)."""
        found = []
        for row, ranks in zip(errors, self._ranks(errors, self.share), strict=True):
            ranked = ranks.sort()
            number = int(ranked.indices[0])
            score, limit, name = float(row[number]), float(self.clip[number]), names[number]
            margin = float(ranked.values[1]) / max(float(ranked.values[0]), 1e-9) if len(row) > 1 else float("inf")
            found.append(Verdict(name if score <= limit else None, name, score, margin, limit))
        return found

    def _ranks(self, relative: Tensor, share: float) -> Tensor:
        """Return what is least for the action that a video shows: relative errors, in units nearer to one for all."""
        return relative * self.usual[:, 0] ** (1 - share)


def _weighed(relative: Tensor, weight: Tensor | float) -> Tensor:
    return (relative[..., 0] + weight * relative[..., 1]) / (1 + weight)
