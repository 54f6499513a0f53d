"""Kendall's tau."""

from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional.scores import Distance, TauVariant, pairwise_kendall_tau
from tpl_lightning.metrics.rows import VideoMetric

__all__ = ["KendallsTau"]


class KendallsTau(VideoMetric):
    """How well the order of time survives when frames are matched by nearest neighbours; mean over pairs of videos.

    For each ordered pair (a, b) of videos of one action, every frame of a is matched with its nearest frame of b;
    the score is (concordant - discordant) / all pairs of frames of a, in [-1, 1], higher is better. The mean is over
    all pairs, so actions with many videos weigh more; ``per_action`` keeps them apart. Tie rules are those of
    :func:`~tpl_lightning.functional.scores.kendall.kendall_tau`.

    Pairs may lie on different processes, so the frames of all videos are kept.

    Args:
        num_actions: A.
        num_channels: C.
        distance: "l2", "sqeuclidean" (which give the same) or "cosine".
        variant: "a" as in the TCC paper, or "b" as in scipy and TCC's code.
        **kwargs: Passed on to :class:`torchmetrics.Metric`.

    References:
        Dwibedi et al., Temporal Cycle-Consistency Learning, CVPR 2019.
    """

    plot_lower_bound = -1.0

    def __init__(
        self,
        *,
        num_actions: int,
        num_channels: int,
        distance: Distance = "l2",
        variant: TauVariant = "a",
        **kwargs: Any,
    ) -> None:
        """Start without videos."""
        super().__init__(num_actions=num_actions, num_channels=num_channels, groups=("all",), **kwargs)
        self.distance, self.variant = distance, variant

    def update(self, embeddings: Tensor, lengths: Tensor, action: Tensor, video_index: Tensor) -> None:
        """Add a batch of videos.

        Args:
            embeddings: (B, T, C), padded at the end; padding is never read.
            lengths: (B,) frames of each video.
            action: (B,) index of each video's action.
            video_index: (B,) number of each video; one seen before counts once.
        """
        self._append("all", embeddings, lengths, action, video_index)

    def _totals(self) -> tuple[Tensor, Tensor]:
        videos = self._videos("all")
        total = torch.zeros(self.num_actions, dtype=torch.float64, device=self.device)
        count = torch.zeros(self.num_actions, dtype=torch.int64, device=self.device)
        for action in videos.action.unique().tolist():
            own = videos.of_action(action)
            tau = pairwise_kendall_tau(own.padded(), own.lengths, distance=self.distance, variant=self.variant)
            total[action], count[action] = tau.nansum(), (~tau.isnan()).sum()
        return total, count
