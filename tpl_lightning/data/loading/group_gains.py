"""How much each feature group counts: the gain of its channels before anything is fitted to all of them."""

from collections.abc import Sequence

import numpy as np
import torch

from tpl_lightning.data.cache.groups import split_columns
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.functional import resample_to_size

_TINY = 1e-13  # variance per mean square that is no more than rounding
_POINTS = 64  # at which videos are compared
_VIDEOS = 3.0  # n of the Wiener weights, as in groupwise.discriminant
_LEAST = 0.01  # signal-to-noise ratio that a group is given at least, so that it counts a little


def group_gains(
    train: VideoSet,
    chosen: np.ndarray,
    variance: np.ndarray,
    mean_square: np.ndarray,
    weights: Sequence[float] | None,
) -> np.ndarray | None:
    """Return the factor (C,) of each channel that gives feature groups their shares of the energy; None for one group.

    Without weights, groups have equal energy times s / (s + 1/n), s their signal-to-noise ratio: the share of a
    prototype of n videos that is signal (Wiener). So a group that tells little of the time takes little.

    Args:
        train: The training videos.
        chosen: Positions of those that are measured.
        variance: (C,) of each channel.
        mean_square: (C,) of each channel, which tells what of the variance is rounding.
        weights: Shares of the energy, as they are; they need not sum to 1.

    Raises:
        UserError: If the embeddings or a group do not vary, or there is not a weight for each group.
    """
    groups = train.cache.feature_groups
    parts, names = split_columns(groups), [group.name for group in groups]
    energy = np.array([variance[part].sum() for part in parts])
    still = energy <= _TINY * np.array([mean_square[part].sum() for part in parts])
    if still.all():
        raise UserError(f"{train.cache.path}: the training embeddings do not vary over time; embed the videos anew.")
    if weights is not None and len(weights) != len(groups):
        raise UserError(
            f"{train.cache.path}: expected data.group_weights of {len(groups)} numbers, for {', '.join(names)}, but "
            f"got {list(weights)}; give one for each, or leave it out."
        )
    if len(groups) == 1:
        return None
    if still.any():
        kept = ",".join(name for name, is_still in zip(names, still, strict=True) if not is_still)
        raise UserError(
            f"{train.cache.path}: feature group {names[int(still.argmax())]!r} does not vary over time in the training "
            f"videos; embed them anew, or use data.groups=[{kept}]."
        )
    if weights is None:
        signal = signal_shares(train, chosen)
        ratio = np.maximum(signal / np.maximum(1 - signal, 1e-6), _LEAST)
        share = ratio / (ratio + 1 / _VIDEOS)
    else:
        share = np.array(weights, dtype=np.float64)
    gains = np.sqrt(share / share.sum() * energy.sum() / energy)
    return np.repeat(gains, [group.channels for group in groups])


def signal_shares(train: VideoSet, chosen: np.ndarray) -> np.ndarray:
    """Return for each feature group the share of its variance over time that different videos of an action have alike.

    With x_i(t) centred over time and videos linearly rescaled: mean_{i != j, t} x_i x_j / mean_{i, t} x_i^2.

    Args:
        train: Videos.
        chosen: Positions of those that are compared.
    """
    parts = split_columns(train.cache.feature_groups)
    actions, counts = np.unique(train.action[chosen], return_counts=True)
    sums = torch.zeros(len(actions), _POINTS, train.num_channels)
    squares = np.zeros((len(actions), len(parts)))
    for positions in train.in_blocks(chosen):
        lengths = torch.from_numpy(train.lengths[positions])
        values = resample_to_size(train.read_block(positions), lengths, _POINTS)
        values -= values.mean(1, keepdim=True)
        for action, video in zip(np.searchsorted(actions, train.action[positions]), values, strict=True):
            sums[action] += video
            squares[action] += _energies(video, parts)
    several = counts > 1
    if not several.any():
        return np.ones(len(parts))
    all_together = np.array([_energies(total, parts) for total in sums])
    alike = (all_together - squares)[several] / (counts[several, None] - 1)
    return np.asarray(alike.sum(0) / squares[several].sum(0)).clip(0, 1)


def _energies(values: torch.Tensor, parts: list[slice]) -> np.ndarray:
    return np.array([float(values[:, part].square().sum(dtype=torch.float64)) for part in parts])
