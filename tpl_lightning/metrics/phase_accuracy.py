"""Phase accuracy."""

from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional.scores import fit_phase_classifier
from tpl_lightning.metrics.rows import VideoMetric, VideoRows

__all__ = ["PhaseAccuracy"]


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
    """

    plot_lower_bound = 0.0

    def __init__(self, *, num_actions: int, num_channels: int, **kwargs: Any) -> None:
        """Start without videos."""
        super().__init__(num_actions=num_actions, num_channels=num_channels, groups=("train", "test"), **kwargs)
        self._stand_apart()

    def update(self, embeddings: Tensor, lengths: Tensor, action: Tensor, video_index: Tensor, labels: Tensor) -> None:
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
        self, embeddings: Tensor, lengths: Tensor, action: Tensor, video_index: Tensor, labels: Tensor
    ) -> None:
        """Add a batch of training videos, as in ``update``; does not count as an update."""
        self._computed = None  # the classifier, and with it the value, may change
        self._append("train", embeddings, lengths, action, video_index, labels)

    def _totals(self) -> tuple[Tensor, Tensor]:
        train, test = self._videos("train"), self._videos("test")
        total = torch.zeros(self.num_actions, dtype=torch.float64)
        count = torch.zeros(self.num_actions, dtype=torch.int64)
        for action in test.action.unique().tolist():
            scores = _score(train.of_action(action), test.of_action(action))
            total[action], count[action] = scores.sum(), len(scores)
        return total.to(self.device), count.to(self.device)


def _score(train: VideoRows, test: VideoRows) -> Tensor:
    """Return the share of right frames of each test video with labelled frames, float64; none without a classifier."""
    known, asked = train.labels >= 0, (test.labels >= 0).cpu()
    if not known.any() or not asked.any():
        return torch.zeros(0, dtype=torch.float64)
    classifier = fit_phase_classifier(*(x[known].cpu().numpy() for x in (train.frames, train.labels, train.video)))
    labels, video = test.labels.cpu()[asked], test.video.cpu()[asked]
    right = torch.from_numpy(classifier.predict(test.frames.cpu()[asked].numpy())) == labels
    frames = torch.bincount(video)
    return (torch.bincount(video, weights=right.double()) / frames)[frames > 0]
