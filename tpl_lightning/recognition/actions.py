"""Prototypes of all actions in one space, and how far videos are from each.

A video is aligned with every prototype; what is left is the mean squared distance per point of the prototype timeline.
An action whose videos differ more among themselves may differ more from a new one, too: the error is divided by the
median error of the action's own training videos, or by its root, or by nothing, as names most of them right. They are
scored by prototypes and axes that have not seen them
(cross-validation over the training videos), which also tells where "none of them" begins.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.config import DataConfig
from tpl_lightning.data import Preprocessor, VideoSet
from tpl_lightning.evaluation import prototype_grid
from tpl_lightning.functional import resample_to_size, sample_rows
from tpl_lightning.groupwise import DiscriminantSpace
from tpl_lightning.recognition.limits import FOLDS, Limits, Verdict
from tpl_lightning.recognition.prototypes import Prototypes

GRID = 64
"""Points at which videos are compared; prototypes are told apart by what takes a tenth of an action, not less."""
_DERIVATIVE, _SIGMA = 0.5, 0.02  # share of the energy, and smoothing as a share of the video
_TRAINING = 40  # videos of an action that are enough


class ActionModel:
    """The actions of a run.

    Args:
        train: Its training videos.
        sources: Of each, T^theta at the points of its prototype.
        data: How embeddings are preprocessed.

    Attributes:
        actions: Their names.
        duration_s: (A,) how long each takes.
        fit: Their prototypes.
        limits: What is usual for training videos that are left out, and what is too far.
    """

    def __init__(self, train: VideoSet, sources: Sequence[np.ndarray], data: DataConfig) -> None:
        """Learn axes and prototypes, and score the training videos by those of the others."""
        self.actions = train.actions
        self.preprocessor = Preprocessor.fit(train, data)
        every = np.array([self.actions.index(str(name)) for name in train.action])
        seconds = train.lengths / train.fps
        self.duration_s = np.array([np.median(seconds[every == a]) for a in range(len(self.actions))])
        some = np.sort(np.concatenate([_spread(np.flatnonzero(every == a)) for a in range(len(self.actions))]))
        features, level = self._clips([train.read(row) for row in some.tolist()])
        self.plain, beside = DiscriminantSpace(_DERIVATIVE, _SIGMA).fit(features)
        grid = np.linspace(0, 1, GRID)
        times = np.stack([np.interp(grid, prototype_grid(len(sources[row])), sources[row]) for row in some.tolist()])
        aligned, action = sample_rows(beside, torch.from_numpy(times).float()), torch.from_numpy(every[some])
        self.fit = Prototypes.of(self.plain, aligned, level, action, len(self.actions))
        self.limits = Limits.learn(self._held_out(beside, aligned, level, action), action)

    def _held_out(self, beside: Tensor, aligned: Tensor, level: Tensor, action: Tensor) -> Tensor:
        """Return the errors (N, A, 2) of training videos by what was learned of others; NaN: there are none."""
        count = len(self.actions)
        errors = aligned.new_full((len(action), count, 2), torch.nan)
        fold = torch.zeros_like(action)
        for a in range(count):  # every fold has some of each action
            mine = (action == a).nonzero().squeeze(1)
            fold[mine] = torch.arange(len(mine)) % FOLDS
        for held in fold.unique().tolist():
            rows, others = (fold == held).nonzero().squeeze(1), fold != held
            if others.any():
                fit = Prototypes.of(self.plain, aligned[others], level[others], action[others], count)
                known = torch.bincount(action[others], minlength=count) > 0
                errors[rows] = torch.where(known.unsqueeze(1), fit.all_errors(beside[rows], level[rows]), torch.nan)
        return errors

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

    def beside_whole(self, features: Tensor, share: Tensor) -> Tensor:
        """Return features (N, G, C) of shares (N,) of an action, beside them derivatives in units of all of it."""
        beside = self.plain(features)
        beside[..., features.shape[2] :] /= share.view(-1, 1, 1)
        return beside

    def _clips(self, videos: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        parts = [self.on_grid(self.values(video), torch.tensor([len(video)])) for video in videos]
        return torch.cat([features for features, _ in parts]), torch.cat([level for _, level in parts])

    def errors(self, videos: Sequence[np.ndarray]) -> Tensor:
        """Return the errors (N, A) of clips (L_i, C) by every action, relative to its training videos'."""
        features, level = self._clips(videos)
        return self.limits.relative(self.fit.all_errors(self.plain(features), level))

    def errors_of(self, clips: Sequence[Tensor], action: Tensor, shown: Tensor) -> Tensor:
        """Return the error (N,) of clips, each by one action, over the action's threshold.

        Args:
            clips: (L_i, C) each, from :meth:`values`.
            action: (N,).
            shown: (N, 2) prototype times of each clip's first and last frame.
        """
        features, level = self.on_grid(torch.cat(list(clips)), torch.tensor([len(clip) for clip in clips]))
        share = shown[:, 1] - shown[:, 0]
        beside = self.beside_whole(features, share)
        errors = self.fit.errors(beside, level, torch.arange(len(clips)), action, shown)
        return self.limits.over(errors, action, share >= 1)

    def verdicts(self, errors: Tensor) -> list[Verdict]:
        """Say what videos show, by their relative errors (N, A)."""
        return self.limits.verdicts(errors, self.actions)


def _spread(rows: np.ndarray) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, min(_TRAINING, len(rows))).round().astype(int)]
