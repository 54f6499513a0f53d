"""Key events: when each phase begins on the prototype timeline, and how far apart equal events fall.

The spread is made of sums over videos (number, sum, sum of squares), as the scores of ``functional.scores.phases`` are,
so batches and processes can be joined exactly.
"""

import torch
from torch import Tensor

from tpl_lightning.functional import Float, Int, Shaped, within_ends
from tpl_lightning.functional.scores.phases import histogram, labelled_frames


def key_events(position: Tensor, labels: Tensor, lengths: Tensor, *, num_phases: int) -> tuple[Tensor, Tensor]:
    """Find when each phase begins: the prototype time of the first frame with that label.

    Phase 0 begins with the video and is no event, nor is a phase whose first frame faces no prototype point.

    Args:
        position: (B, T) prototype time of each frame; below 0 or above 1 where it faces no point.
        labels: (B, T) phase of each frame in [0, num_phases), -1 unlabelled.
        lengths: (B,) frames of each video.
        num_phases: K.

    Returns:
        prototype times (B, K) float64, and (B, K) bool: whether the video has this event. Times without an event
        are 0.
    """
    size = labels.shape[1]
    labelled = labelled_frames(labels, lengths)
    frame = torch.arange(size, device=labels.device).where(labelled, size)
    first = torch.full((len(labels), num_phases), size, device=labels.device)
    first = first.scatter_reduce(1, labels.where(labelled, 0), frame, "amin")
    happens = (first < size) & (torch.arange(num_phases, device=labels.device) > 0)
    times = position.double().gather(1, first.clamp(max=size - 1))
    happens &= within_ends(times)
    return times.where(happens, 0.0), happens


def key_event_moments(
    position: Float[Tensor, "B T"],
    labels: Int[Tensor, "B T"],
    lengths: Int[Tensor, "B"],
    action: Int[Tensor, "B"],
    *,
    num_actions: int,
    num_phases: int,
) -> tuple[
    Int[Tensor, "{num_actions} {num_phases}"],
    Float[Tensor, "{num_actions} {num_phases}"],
    Float[Tensor, "{num_actions} {num_phases}"],
]:
    """Return number, sum and sum of squares of the event times of each action and phase.

    Args:
        position: (B, T) prototype time of each frame.
        labels: (B, T) phase of each frame in [0, num_phases), -1 unlabelled.
        lengths: (B,) frames of each video.
        action: (B,) index of each video's action in [0, num_actions).
        num_actions: A.
        num_phases: K.

    Returns:
        count (A, K) int64, sum (A, K) float64, sum of squares (A, K) float64.

    Example:
        >>> one, line = torch.tensor([4]), torch.tensor([[0.0, 1 / 3, 2 / 3, 1.0]])
        >>> labels, action = torch.tensor([[0, 0, 1, 1]]), torch.tensor([0])
        >>> count, total, squares = key_event_moments(line, labels, one, action, num_actions=1, num_phases=2)
        >>> count.tolist(), total.round(decimals=3).tolist()  # phase 1 begins at 2/3
        ([[0, 1]], [[0.0, 0.667]])
    """
    times, happens = key_events(position, labels, lengths, num_phases=num_phases)
    index = action.unsqueeze(1) * num_phases + torch.arange(num_phases, device=labels.device)
    shape = (num_actions, num_phases)
    return histogram(index, happens.long(), shape), histogram(index, times, shape), histogram(index, times**2, shape)


def spread_from_moments(
    count: Shaped[Tensor, "A K"], total: Float[Tensor, "A K"], squares: Float[Tensor, "A K"]
) -> Float[Tensor, "A K"]:
    """Return the population standard deviation (ddof 0) from :func:`key_event_moments`.

    Args:
        count: (A, K) number of videos with the event.
        total: (A, K) sum of their times.
        squares: (A, K) sum of the squares.

    Returns:
        (A, K) float64; NaN where fewer than two videos have the event.

    Example:
        >>> spread_from_moments(torch.tensor([[2]]), torch.tensor([[1.0]]), torch.tensor([[0.58]]))
        tensor([[0.2000]])
    """
    mean = total / count
    # Rounding can push the variance of equal times below 0 (by 1e-16, so a spread below 1e-8 is noise).
    deviation = (squares / count - mean**2).clamp(min=0.0).sqrt()
    return deviation.where(count >= 2, torch.nan)


def key_event_spread(
    position: Tensor, labels: Tensor, lengths: Tensor, action: Tensor, *, num_actions: int, num_phases: int
) -> Tensor:
    """Return how far apart on the prototype timeline equal key events fall; lower is better.

    The population standard deviation over the videos of the prototype time at which phase k >= 1 begins, averaged
    over all (action, k) that at least two videos have.

    Args:
        position: (B, T) prototype time of each frame.
        labels: (B, T) phase of each frame in [0, num_phases), -1 unlabelled.
        lengths: (B,) frames of each video.
        action: (B,) index of each video's action in [0, num_actions).
        num_actions: A.
        num_phases: K.

    Returns:
        Scalar float64 in [0, 1/2]; NaN where no event is shared by two videos.
    """
    moments = key_event_moments(position, labels, lengths, action, num_actions=num_actions, num_phases=num_phases)
    return spread_from_moments(*moments).nanmean()
