"""Scores by phase labels: labels of the prototype [8] and cycle-back consistency.

Every score is split into sums over videos (histograms, moments) and a closing formula over those sums. The sums
of two sets of videos add up, so batches and processes can be joined exactly, whatever the number of videos in each.
All sums are float64 or int64. Nothing here waits for the device.
"""

import torch
from torch import Tensor

from tpl_lightning.functional import Float, Int, length_mask, within_ends


def _nearest_index(times: Tensor, lengths: Tensor) -> Tensor:
    """Return round(times * (lengths - 1)), (B, P) int64, within each row's [0, length - 1]."""
    last = (lengths - 1).unsqueeze(1)
    index = (times.double() * last).round().long()
    return index.clamp(min=0).minimum(last)


def labelled_frames(labels: Tensor, lengths: Tensor) -> Tensor:
    """Return which frames exist and have a label, (B, T) bool."""
    return length_mask(lengths, labels.shape[1]) & (labels >= 0)


def histogram(index: Tensor, weights: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Add up ``weights`` by flat ``index``; a weight of 0 may stand at any valid index."""
    flat = torch.zeros(shape, dtype=weights.dtype, device=weights.device).flatten()
    return flat.index_add_(0, index.flatten(), weights.flatten()).view(shape)


def prototype_index(position: Float[Tensor, "B T"], prototype_length: Int[Tensor, "B"]) -> Int[Tensor, "B T"]:
    """Return the prototype point of each frame, round(T^-theta(u / (L_i - 1)) (L - 1)).

    Convention: ``position`` is prototype time in [0, 1], where 0 is the first and 1 the last of the L points. The
    product is rounded in float64; exact halves go to the even index (``torch.round``). Results stay in 0..L-1.

    Args:
        position: (B, T) prototype time of each frame.
        prototype_length: (B,) points L of each video's prototype.

    Returns:
        (B, T) int64. Entries at padded frames mean nothing.

    Example:
        >>> prototype_index(torch.tensor([[0.0, 0.3, 1.0]]), torch.tensor([11])).tolist()
        [[0, 3, 10]]
    """
    return _nearest_index(position, prototype_length)


def prototype_votes(
    labels: Int[Tensor, "B T"],
    lengths: Int[Tensor, "B"],
    action: Int[Tensor, "B"],
    source_position: Float[Tensor, "B P"],
    prototype_length: Int[Tensor, "B"],
    *,
    num_actions: int,
    num_phases: int,
    max_length: int,
) -> Int[Tensor, "{num_actions} {max_length} {num_phases}"]:
    """Count, for each prototype point, the labels of the video frames that face it (inner part of eq. [8]).

    Point j < L of the prototype gets one vote from each video: the label of its frame
    round(T^theta(j / (L - 1)) (L_i - 1)). Frames without a label do not vote.

    Convention: ``source_position`` is T^theta at the prototype points (prototype time -> video time): 0 is the
    first frame, 1 the last. The product is rounded in float64, exact halves to the even frame. A source position
    below 0 or above 1 (by more than rounding) means that the video has no frame there: no vote.

    Args:
        labels: (B, T) phase of each frame in [0, num_phases), -1 unlabelled.
        lengths: (B,) frames of each video; what lies beyond is never read.
        action: (B,) index of each video's action in [0, num_actions).
        source_position: (B, P), video time at the prototype points; points j >= L are never read.
        prototype_length: (B,) points L of each video's prototype, at most ``max_length``.
        num_actions: A.
        num_phases: K, the largest number of phases of an action.
        max_length: Points of the longest prototype.

    Returns:
        (num_actions, max_length, num_phases) int64 votes.

    Example:
        >>> one, line = torch.tensor([4]), torch.tensor([[0.0, 1 / 3, 2 / 3, 1.0]])
        >>> labels, action = torch.tensor([[0, 0, 1, 1]]), torch.tensor([0])
        >>> prototype_votes(labels, one, action, line, one, num_actions=1, num_phases=2, max_length=4).tolist()
        [[[1, 0], [1, 0], [0, 1], [0, 1]]]
    """
    points = min(source_position.shape[1], max_length)
    source = source_position[:, :points]
    label = labels.gather(1, _nearest_index(source, lengths))
    votes = length_mask(prototype_length, points) & within_ends(source) & (label >= 0)
    point = torch.arange(points, device=labels.device)
    index = (action.unsqueeze(1) * max_length + point) * num_phases + label
    return histogram(index.where(votes, 0), votes.long(), (num_actions, max_length, num_phases))


def prototype_labels(votes: Int[Tensor, "A P K"]) -> Int[Tensor, "A P"]:
    """Return the most frequent label of each prototype point, A^[j] (eq. [8]).

    Args:
        votes: (A, P, K) from :func:`prototype_votes`.

    Returns:
        (A, P) int64; of labels with equally many votes the lowest, -1 where nobody voted.

    Example:
        >>> prototype_labels(torch.tensor([[[2, 1], [1, 3], [0, 0]]])).tolist()
        [[0, 1, -1]]
    """
    return votes.argmax(-1).where(votes.amax(-1) > 0, -1)


def cycle_back_consistency(
    position: Float[Tensor, "B T"],
    labels: Int[Tensor, "B T"],
    lengths: Int[Tensor, "B"],
    action: Int[Tensor, "B"],
    prototype_length: Int[Tensor, "B"],
    prototype_labels: Int[Tensor, "A P"],
) -> Float[Tensor, "B"]:
    """Return each video's share of labelled frames that agree with the label of their prototype point.

    On the videos that labelled the prototype this is CBC, on others PLP (paper, section on metrics). A frame that
    faces a prototype point without a label counts as wrong, and so does one that faces none: its position is below 0
    or above 1.

    Convention: as :func:`prototype_index`.

    Args:
        position: (B, T) prototype time of each frame, T^-theta(u / (L_i - 1)).
        labels: (B, T), -1 unlabelled.
        lengths: (B,) frames of each video.
        action: (B,) index of each video's action.
        prototype_length: (B,) points of each video's prototype.
        prototype_labels: (A, P) from :func:`prototype_labels`.

    Returns:
        (B,) float64 in [0, 1]; NaN for a video without labelled frames.

    Example:
        >>> one, line = torch.tensor([4]), torch.tensor([[0.0, 1 / 3, 2 / 3, 1.0]])
        >>> labels, action = torch.tensor([[0, 0, 1, 1]]), torch.tensor([0])
        >>> cycle_back_consistency(line, labels, one, action, one, torch.tensor([[0, 1, 1, 1]])).tolist()
        [0.75]
    """
    labelled = labelled_frames(labels, lengths)
    transferred = prototype_labels[action.unsqueeze(1), prototype_index(position, prototype_length)]
    right = (transferred == labels) & labelled & within_ends(position)
    return right.sum(1).double() / labelled.sum(1)


def label_shares(
    position: Float[Tensor, "B T"],
    labels: Int[Tensor, "B T"],
    lengths: Int[Tensor, "B"],
    action: Int[Tensor, "B"],
    prototype_length: Int[Tensor, "B"],
    *,
    num_actions: int,
    num_phases: int,
    max_length: int,
) -> tuple[Float[Tensor, "{num_actions} {max_length} {num_phases}"], Int[Tensor, "{num_actions}"]]:
    """Sum up what :func:`cycle_back_consistency` needs of the videos before the prototype's labels are known.

    Each labelled frame of video i adds 1 / (labelled frames of i) at (action, prototype point, label). With these
    sums, the mean of the videos' scores for any labels A^ is :func:`agreement_sum` over the number of videos.

    Convention: as :func:`prototype_index`.

    Args:
        position: (B, T) prototype time of each frame, T^-theta(u / (L_i - 1)).
        labels: (B, T) phase of each frame in [0, num_phases), -1 unlabelled.
        lengths: (B,) frames of each video.
        action: (B,) index of each video's action in [0, num_actions).
        prototype_length: (B,) points of each video's prototype, at most ``max_length``.
        num_actions: A.
        num_phases: K.
        max_length: P, points of the longest prototype.

    Returns:
        shares (A, P, K) float64, and the number of videos with a labelled frame, (A,) int64.

    Example:
        >>> one, line = torch.tensor([4]), torch.tensor([[0.0, 1 / 3, 2 / 3, 1.0]])
        >>> labels, action = torch.tensor([[0, 0, 1, 1]]), torch.tensor([0])
        >>> shares, videos = label_shares(line, labels, one, action, one, num_actions=1, num_phases=2, max_length=4)
        >>> shares.tolist(), videos.tolist()
        ([[[0.25, 0.0], [0.25, 0.0], [0.0, 0.25], [0.0, 0.25]]], [1])
    """
    labelled = labelled_frames(labels, lengths)
    frames = labelled.sum(1)
    index = (action.unsqueeze(1) * max_length + prototype_index(position, prototype_length)) * num_phases + labels
    weights = (labelled & within_ends(position)).double() / frames.clamp(min=1).unsqueeze(1)
    shares = histogram(index.where(labelled, 0), weights, (num_actions, max_length, num_phases))
    return shares, histogram(action, (frames > 0).long(), (num_actions,))


def agreement_sum(shares: Float[Tensor, "A P K"], prototype_labels: Int[Tensor, "A P"]) -> Float[Tensor, "A"]:
    """Return the sum over the videos of their share of frames that agree, per action.

    Args:
        shares: (A, P, K) from :func:`label_shares`.
        prototype_labels: (A, P) from :func:`prototype_labels`; -1 agrees with no frame.

    Returns:
        (A,) float64.

    Example:
        >>> shares = torch.tensor([[[0.75, 0.0], [0.0, 0.25]]])
        >>> agreement_sum(shares, torch.tensor([[0, 0]])).tolist()
        [0.75]
    """
    share = shares.gather(-1, prototype_labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return share.where(prototype_labels >= 0, 0.0).sum(-1)
