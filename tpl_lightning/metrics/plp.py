"""Phase label propagation (PLP)."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional import Float, Int
from tpl_lightning.metrics.base import PrototypeLabelMetric


class PhaseLabelPropagation(PrototypeLabelMetric):
    """Share of a new video's labelled frames that get the right label from the prototype, averaged over videos.

    As :class:`~tpl_lightning.metrics.CycleBackConsistency`, but the prototype is labelled by other videos
    (``update_prototype``) or once and for all (``set_prototype_labels``); those are never scored. The order of the
    calls does not matter. In [0, 1], higher is better; NaN without scored videos. Videos of an action whose prototype
    has no label at all are not scored.

    Args:
        num_actions: A.
        num_phases: K, the largest number of phases of an action.
        max_length: P, points of the longest prototype.
        **kwargs: Passed on to :class:`torchmetrics.Metric`.

    References:
        Naaman, Shapira Weber, Freifeld, Synchronization of Multiple Videos, ICCV 2025.

    Example:
        >>> from tpl_lightning.metrics import PhaseLabelPropagation
        >>> metric = PhaseLabelPropagation(num_actions=1, num_phases=2, max_length=4)
        >>> line = torch.linspace(0, 1, 4).repeat(2, 1)
        >>> labels = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1]])
        >>> lengths, action = torch.tensor([4, 4]), torch.zeros(2, dtype=torch.long)
        >>> metric.update_prototype(labels[:1], lengths[:1], action[:1], line[:1], prototype_length=lengths[:1])
        >>> metric.update(line[1:], labels[1:], lengths[1:], action[1:], prototype_length=lengths[1:])
        >>> metric.compute()
        tensor(0.7500, dtype=torch.float64)
    """

    def __init__(self, **options: Any) -> None:
        """Start with empty sums."""
        super().__init__(**options)
        self._stand_apart()

    def update(
        self,
        position: Float[Tensor, "B T"],
        labels: Int[Tensor, "B T"],
        lengths: Int[Tensor, "B"],
        action: Int[Tensor, "B"],
        prototype_length: Int[Tensor, "B"],
    ) -> None:
        """Add a batch of new videos, which are scored and do not vote.

        Args:
            position: (B, T) prototype time of each frame, T^-theta(u / (L_i - 1)).
            labels: (B, T) phase of each frame in [0, K), -1 unlabelled.
            lengths: (B,) frames of each video.
            action: (B,) index of each video's action.
            prototype_length: (B,) points of each video's prototype.
        """
        self._add_shares(position, labels, lengths, action, prototype_length)

    @torch.no_grad()
    def update_prototype(
        self,
        labels: Int[Tensor, "B T"],
        lengths: Int[Tensor, "B"],
        action: Int[Tensor, "B"],
        source_position: Float[Tensor, "B P"],
        prototype_length: Int[Tensor, "B"],
    ) -> None:
        """Add the votes of videos that label the prototypes; does not count as an update.

        Args:
            labels: (B, T) phase of each frame in [0, K), -1 unlabelled.
            lengths: (B,) frames of each video.
            action: (B,) index of each video's action.
            source_position: (B, at most P) video time at each prototype point; above 1 where there is no frame.
            prototype_length: (B,) points of each video's prototype.
        """
        self._computed = None  # the labels, and with them the value, may change
        self._add_votes(labels, lengths, action, source_position, prototype_length)

    @torch.no_grad()
    def set_prototype_labels(self, labels: Int[Tensor, "A P"]) -> None:
        """Replace all votes by finished labels, as one vote for each labelled point; does not count as an update.

        Of several processes, those without videos may leave it out; the others must give the same labels.

        Args:
            labels: (A, at most P) integer phase of each prototype point, -1 unlabelled or past the prototype's end.

        Raises:
            ValueError: If the shape does not fit.
        """
        if labels.dim() != 2 or len(labels) != self.num_actions or labels.shape[1] > self.max_length:
            raise ValueError(
                f"Expected `labels` of shape ({self.num_actions} actions, at most {self.max_length} prototype points), "
                f"but got {tuple(labels.shape)}."
            )
        self._computed = None
        phases = torch.arange(self.num_phases, device=self.votes.device)
        votes = torch.zeros_like(self.votes)
        votes[:, : labels.shape[1]] = (labels.to(votes.device).unsqueeze(-1) == phases).long()
        self.votes = votes

    def _scores(self) -> tuple[Tensor, Tensor]:
        agreement, videos = super()._scores()
        return agreement, videos * (self.votes.flatten(1) > 0).any(1)

    def _wrap_compute(self, compute: Callable) -> Callable:
        computed = super()._wrap_compute(compute)

        @functools.wraps(computed)
        def quietly(*args: Any, **kwargs: Any) -> Any:
            # A run without validation videos is no mistake: the value is NaN, and torchmetrics need not warn.
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="The ``compute`` method of metric", category=UserWarning)
                return computed(*args, **kwargs)

        return quietly
