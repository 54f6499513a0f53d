"""Phase accuracy."""

from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional import Float, Int
from tpl_lightning.functional.scores import phase_accuracy_sums
from tpl_lightning.metrics.rows import VideoMetric


class PhaseAccuracy(VideoMetric):
    """Share of a test video's frames whose phase a linear classifier of single frames gets right; mean over videos.

    One classifier for each action, fitted on training videos (``update_train``) with a penalty chosen on them; see
    :func:`~tpl_lightning.functional.scores.phase_classifier.fit_phase_classifier`. In [0, 1], higher is better. Frames
    without a label are left out, and so are videos of actions without a labelled training frame. Frames may be those
    of the videos or of the prototype timeline; what differs between the two is how much weight each moment has.

    The classifier needs all frames at once, so the frames of all videos are kept.

    Args:
        num_actions: A.
        num_channels: C.
        **kwargs: Passed on to :class:`torchmetrics.Metric`.

    References:
        Dwibedi et al., Temporal Cycle-Consistency Learning, CVPR 2019, section 4 (phase classification).

    Example:
        >>> from tpl_lightning.metrics import PhaseAccuracy
        >>> metric = PhaseAccuracy(num_actions=1, num_channels=1)
        >>> walk, labels = torch.arange(4.0).view(1, 4, 1), torch.tensor([[0, 0, 1, 1]])
        >>> lengths, action = torch.tensor([4]), torch.tensor([0])
        >>> metric.update_train(walk, lengths, action, torch.tensor([0]), labels)
        >>> metric.update(walk, lengths, action, torch.tensor([1]), labels)
        >>> metric.compute()
        tensor(1., dtype=torch.float64)
    """

    plot_lower_bound = 0.0

    def __init__(self, *, num_actions: int, num_channels: int, **kwargs: Any) -> None:
        """Start without videos."""
        super().__init__(num_actions=num_actions, num_channels=num_channels, groups=("train", "test"), **kwargs)
        self._stand_apart()

    def update(
        self,
        embeddings: Float[Tensor, "B T C"],
        lengths: Int[Tensor, "B"],
        action: Int[Tensor, "B"],
        video_index: Int[Tensor, "B"],
        labels: Int[Tensor, "B T"],
    ) -> None:
        """Add a batch of test videos, which are scored.

        Args:
            embeddings: (B, T, C), padded at the end; padding is never read.
            lengths: (B,) frames of each video.
            action: (B,) index of each video's action.
            video_index: (B,) number of each video; one seen before counts once.
            labels: (B, T) phase of each frame, -1 unlabelled.
        """
        self._append("test", embeddings, lengths, action, video_index, labels)

    @torch.no_grad()
    def update_train(
        self,
        embeddings: Float[Tensor, "B T C"],
        lengths: Int[Tensor, "B"],
        action: Int[Tensor, "B"],
        video_index: Int[Tensor, "B"],
        labels: Int[Tensor, "B T"],
    ) -> None:
        """Add a batch of training videos, as in ``update``; does not count as an update."""
        self._computed = None  # the classifier, and with it the value, may change
        self._append("train", embeddings, lengths, action, video_index, labels)

    def _totals(self) -> tuple[Tensor, Tensor]:
        return phase_accuracy_sums(self._videos("train"), self._videos("test"), num_actions=self.num_actions)
