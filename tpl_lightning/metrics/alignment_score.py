"""The score without labels, batch by batch."""

from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional import Bool, Float, Int, frame_times, length_mask, resample
from tpl_lightning.functional.scores import LEAST_SLOPE, ROUGHNESS_WEIGHT
from tpl_lightning.metrics.base import SumMetric


class AlignmentScore(SumMetric):
    """agreement - 0.1 roughness, what :func:`tpl_lightning.evaluation.quality.assess` finds, from sums over the videos.

    agreement = 1 - r / r0 with r the mean squared distance of a video to the mean of the others of its action on the
    prototype timeline, levels aside, and r0 the same under linear rescaling; roughness is the mean square of the
    logarithm of the slopes of the warps.

    Args:
        num_actions: A.
        max_length: P, points of the longest prototype.
        num_channels: C.
        **kwargs: Passed on to :class:`torchmetrics.Metric`.

    Attributes:
        total: (2, A, P, C) float32, sums of the aligned and of the linearly rescaled videos, over the root of L.
        energy: (2, A) float64, sums of their squared norms, the same way.
        rough: (A,) float64, sum of the roughness of the warps.
        videos: (A,) int64, videos.

    Example:
        >>> from tpl_lightning.metrics import AlignmentScore
        >>> metric = AlignmentScore(num_actions=1, max_length=4, num_channels=1)
        >>> source = torch.tensor([[0, 0.2, 0.6, 1], [0, 0.4, 0.8, 1]])
        >>> lengths, action = torch.tensor([6, 6]), torch.zeros(2, dtype=torch.long)
        >>> videos = torch.tensor([[0.0, 1, 1, 2, 2, 3], [0, 0, 1, 1, 2, 3]])[..., None]
        >>> metric.update(videos, source, lengths, action, torch.tensor([4, 4]), torch.tensor([True, True]))
        >>> metric.compute().item() > 0.9
        True
    """

    higher_is_better = True
    plot_upper_bound = 1.0

    total: Tensor
    energy: Tensor
    rough: Tensor
    videos: Tensor

    def __init__(self, *, num_actions: int, max_length: int, num_channels: int, **kwargs: Any) -> None:
        """Start with empty sums."""
        super().__init__(**kwargs)
        self.num_actions, self.max_length = num_actions, max_length
        self._add_sum("total", 2, num_actions, max_length, num_channels, dtype=torch.float32)
        self._add_sum("energy", 2, num_actions, dtype=torch.float64)
        self._add_sum("rough", num_actions, dtype=torch.float64)
        self._add_sum("videos", num_actions, dtype=torch.int64)

    def update(
        self,
        features: Float[Tensor, "B T C"],
        source_position: Float[Tensor, "B P"],
        lengths: Int[Tensor, "B"],
        action: Int[Tensor, "B"],
        prototype_length: Int[Tensor, "B"],
        keep: Bool[Tensor, "B"],
    ) -> None:
        """Add a batch of videos.

        Convention: as :func:`~tpl_lightning.functional.resampling.resample`.

        Args:
            features: (B, T, C), padded at the end.
            source_position: (B, P') video time at each prototype point, T^theta(j / (L - 1)).
            lengths: (B,) frames of each video.
            action: (B,) index of each video's action.
            prototype_length: (B,) points L of each action's prototype.
            keep: (B,) which videos count.
        """
        source = source_position.float().clamp(0, 1)
        size = source.shape[1]
        mask = length_mask(prototype_length, size)
        share = mask / prototype_length.unsqueeze(1)
        total, energy = self.total.clone(), self.energy.clone()
        for k, times in enumerate((source, frame_times(prototype_length, size))):
            aligned = resample(features, times, lengths).float()
            level = (aligned * share.unsqueeze(-1)).sum(1, keepdim=True)
            # Over the root of L, so that a sum of squares over the points is their mean.
            scaled = (aligned - level) * (share.sqrt() * keep.unsqueeze(1)).unsqueeze(-1)
            total[k, :, :size].index_add_(0, action, scaled)
            energy[k].index_add_(0, action, scaled.square().sum((1, 2)).double())
        slopes = (source.diff(dim=1) * (prototype_length - 1).unsqueeze(1)).clamp(min=LEAST_SLOPE)
        steps = mask[:, 1:] & keep.unsqueeze(1)
        rough = (slopes.log().square() * steps).sum(1) / (prototype_length - 1)
        # Not in place: a state that was reset in inference mode may not be changed outside of it.
        self.total, self.energy = total, energy
        self.rough = self.rough.index_add(0, action, rough.double())
        self.videos = self.videos.index_add(0, action, keep.long())

    def compute(self) -> Float[Tensor, ""]:
        """Return the score, a scalar; NaN where no action has two videos."""
        count = self.videos.double()
        mean = self.total.double() / count.clamp(min=1).view(1, -1, 1, 1)
        spread = self.energy / count.clamp(min=1) - mean.square().sum((2, 3))
        distance = spread * (count / (count - 1).clamp(min=1)).square() * count
        both = (distance * (count >= 2)).sum(1)
        roughness = (self.rough * (count >= 2)).sum() / (count * (count >= 2)).sum()
        return 1 - both[0] / both[1] - ROUGHNESS_WEIGHT * roughness
