"""Labels of training videos choose the strength of the prior on warps (``select``): model selection, nothing else.

What features tell may be a tempo that is not that of the action; no score without labels sees it. Phase labels do:
PLP over the training videos, each video's own vote left out of the labels of its prototype. Labels choose among a few
fits and have no say in any of them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from tpl_lightning.data import VideoSet
from tpl_lightning.functional.scores import cycle_back_consistency, prototype_labels, prototype_votes

STRENGTHS = (1.0, 4.0, 16.0, 64.0, math.inf)
"""Times the prior as set; infinite: linear rescaling."""
_CLEARLY, _HARDLY = 2.0, 0.5  # standard errors by which one is better, or no better than another
_FEWEST = 8  # training videos with labels, from which on these choose


@dataclass(frozen=True)
class PriorChoice:
    """The strength that was chosen.

    Attributes:
        strength: Times the prior as set.
        scores: Mean score of each strength that was tried.
    """

    strength: float
    scores: dict[float, float]

    def note(self) -> str:
        """Tell what was chosen, and the scores."""
        names = {1.0: "as set", math.inf: "linear rescaling"}
        told = {s: names.get(s, f"x {s:g}") for s in self.scores}
        scores = ", ".join(f"{told[s]} {value:.3f}" for s, value in self.scores.items())
        return (
            f"Labels of training videos chose the prior on warps: {told[self.strength]} (PLP over training videos, own "
            f"vote left out: {scores}; select=none: labels are not asked)."
        )


def _known(scores: np.ndarray) -> np.ndarray:
    return scores[~np.isnan(scores)]


def select_prior(candidates: Sequence[float], score: Callable[[float], np.ndarray]) -> PriorChoice:
    """Choose among strengths of the prior by the scores of single videos.

    Where the first, the default, is better than the last, linear rescaling, it stays unless another is better than it
    by two standard errors over videos. Where it is not, the features tell a tempo that is not that of the labels, and
    the strongest prior wins that is within half a standard error of the best.

    Args:
        candidates: Strengths from the default to linear rescaling.
        score: Returns the scores (n,) of the same n videos under a strength, NaN where a video has none.
    """
    default, linear = candidates[0], candidates[-1]
    scores = {strength: _known(score(strength)) for strength in (default, linear)}
    if len(scores[default]) < 2:
        return PriorChoice(default, {})
    helps = scores[default].mean() > scores[linear].mean()
    for strength in candidates[1:-1]:
        scores[strength] = _known(score(strength))
        if helps and scores[strength].mean() <= max(scores[s].mean() for s in scores if s != strength):
            break  # scores rise and fall: a fit is saved
    means = {strength: float(scores[strength].mean()) for strength in candidates if strength in scores}
    best = max(means, key=means.__getitem__)

    def behind(strength: float, errors: float) -> bool:
        """Tell whether a strength is worse than the best one by more than so many standard errors."""
        gap = scores[best] - scores[strength]
        return float(gap.mean()) > errors * float(gap.std(ddof=1)) / len(gap) ** 0.5

    if helps:
        return PriorChoice(best if behind(default, _CLEARLY) else default, means)
    return PriorChoice(max(s for s in means if not behind(s, _HARDLY)), means)


def labels_choose(select: str, videos: VideoSet) -> bool:
    """Tell whether labels choose, by the option ``select`` and the labels that training videos have."""
    if select == "none":
        return False
    labelled = sum(bool((videos.labels(i) >= 0).any()) for i in range(len(videos)))
    return labelled >= (2 if select == "labels" else _FEWEST)


def held_out_scores(positions: Sequence[np.ndarray], sources: Sequence[np.ndarray], videos: VideoSet) -> np.ndarray:
    """Return PLP of each video by the votes of the *others* of its action, (N,).

    Args:
        positions: T^-theta at the frames of each video, (L_i,).
        sources: T^theta at the prototype points, (L,), of each video.
        videos: N of them.

    Returns:
        (N,) in [0, 1]; NaN for a video without labels, or without another one of its action that has some.
    """
    found = np.full(len(videos), np.nan)
    for action in videos.actions:
        rows = np.flatnonzero(videos.action == action).tolist()
        labels = [torch.from_numpy(videos.labels(i).astype(np.int64)) for i in rows]
        padded = pad_sequence(labels, batch_first=True, padding_value=-1)
        lengths, every = torch.from_numpy(videos.lengths[rows]), torch.arange(len(rows))
        points = torch.from_numpy(np.stack([sources[i] for i in rows]))
        size = torch.full((len(rows),), points.shape[1])
        # Each video votes for a prototype of its own; that of the others has the rest of the votes.
        votes = prototype_votes(
            padded,
            lengths,
            every,
            points,
            size,
            num_actions=len(rows),
            num_phases=max(int(padded.max()) + 1, 1),
            max_length=points.shape[1],
        )
        others = votes.sum(0) - votes
        position = pad_sequence([torch.from_numpy(positions[i]) for i in rows], batch_first=True)
        score = cycle_back_consistency(position, padded, lengths, every, size, prototype_labels(others))
        score[others.sum((1, 2)) == 0] = torch.nan
        found[rows] = score.numpy()
    return found
