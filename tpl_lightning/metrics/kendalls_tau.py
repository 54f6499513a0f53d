"""Kendall's tau."""

from typing import Any

from torch import Tensor

from tpl_lightning.functional import Float, Int
from tpl_lightning.functional.scores import Distance, TauVariant, kendall_tau_sums
from tpl_lightning.metrics.rows import VideoMetric


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

    Example:
        >>> import torch
        >>> from tpl_lightning.metrics import KendallsTau
        >>> metric = KendallsTau(num_actions=1, num_channels=1)
        >>> walk = torch.arange(4.0).view(1, 4, 1).repeat(2, 1, 1)
        >>> metric.update(walk, torch.tensor([4, 4]), torch.tensor([0, 0]), video_index=torch.tensor([0, 1]))
        >>> metric.compute()
        tensor(1., dtype=torch.float64)
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

    def update(
        self,
        embeddings: Float[Tensor, "B T C"],
        lengths: Int[Tensor, "B"],
        action: Int[Tensor, "B"],
        video_index: Int[Tensor, "B"],
    ) -> None:
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
        return kendall_tau_sums(videos, num_actions=self.num_actions, distance=self.distance, variant=self.variant)
