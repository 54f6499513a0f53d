"""Cycle-back consistency (CBC)."""

from torch import Tensor

from tpl_lightning.functional import Float, Int
from tpl_lightning.metrics.base import PrototypeLabelMetric


class CycleBackConsistency(PrototypeLabelMetric):
    """Share of a video's labelled frames that get their own label back from the prototype, averaged over videos.

    The videos label the prototype by majority (eq. [8]); then frame u of each of them reads the label at the
    prototype point round(T^-theta(u / (L_i - 1)) (L - 1)). In [0, 1], higher is better. Frames without a label are
    left out, and so are videos without labelled frames; a frame that faces an unlabelled point counts as wrong.

    The prototype's labels depend on all videos, so nothing is scored before ``compute``: ``update`` only adds up
    votes and label shares. The value does not depend on batches, padding or processes.

    Args:
        num_actions: A.
        num_phases: K, the largest number of phases of an action.
        max_length: P, points of the longest prototype.
        **kwargs: Passed on to :class:`torchmetrics.Metric`.

    References:
        Naaman, Shapira Weber, Freifeld, Synchronization of Multiple Videos, ICCV 2025.

    Example:
        >>> import torch
        >>> from tpl_lightning.metrics import CycleBackConsistency
        >>> metric = CycleBackConsistency(num_actions=1, num_phases=2, max_length=4)
        >>> line = torch.linspace(0, 1, 4).repeat(2, 1)
        >>> labels = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1]])
        >>> lengths, action = torch.tensor([4, 4]), torch.zeros(2, dtype=torch.long)
        >>> metric.update(line, labels, lengths, action, source_position=line, prototype_length=lengths)
        >>> metric.compute()  # a tie at the second point goes to phase 0: one frame of eight is wrong
        tensor(0.8750, dtype=torch.float64)
    """

    def update(
        self,
        position: Float[Tensor, "B T"],
        labels: Int[Tensor, "B T"],
        lengths: Int[Tensor, "B"],
        action: Int[Tensor, "B"],
        source_position: Float[Tensor, "B P"],
        prototype_length: Int[Tensor, "B"],
    ) -> None:
        """Add a batch of videos, which vote and are scored.

        Args:
            position: (B, T) prototype time of each frame, T^-theta(u / (L_i - 1)).
            labels: (B, T) phase of each frame in [0, K), -1 unlabelled.
            lengths: (B,) frames of each video.
            action: (B,) index of each video's action.
            source_position: (B, at most P) video time at each prototype point; above 1 where there is no frame.
            prototype_length: (B,) points of each video's prototype.
        """
        self._add_votes(labels, lengths, action, source_position, prototype_length)
        self._add_shares(position, labels, lengths, action, prototype_length)
