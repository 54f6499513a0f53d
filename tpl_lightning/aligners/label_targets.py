"""What labels of training videos say in a joint fit: supervised channels (``direct.labels``), begins of actions."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.data import VideoSet

_FEWEST = 2  # videos with labels, from which on these say where an action begins
_MOST = 0.4  # of a prototype, that they may take off at an end


def label_channels(train: VideoSet, size: int, weight: float, *, device: torch.device | str = "cpu") -> Tensor | None:
    """Return the label targets of training videos, (N, G, phases - 1).

    Channel k is ``weight`` from the begin of phase k + 1 on, and 0 before. A frame without a label has that of the
    nearest frame with one.

    Args:
        train: The videos.
        size: Points G of the shared grid, times j / (G - 1) of each video.
        weight: Against features of variance 1.
        device: Where the channels are to be.

    Returns:
        The channels, NaN for videos without any label; None where there is nothing to say.
    """
    phases = max((len(names) for names in train.phase_names.values()), default=0)
    if weight == 0 or phases < 2:
        return None
    channels = np.full((len(train), size, phases - 1), np.nan, dtype=np.float32)
    for i in range(len(train)):
        labels = train.labels(i)
        frames = np.flatnonzero(labels >= 0)
        if len(frames) == 0:
            continue
        nearest = np.interp(np.linspace(0, len(labels) - 1, size), frames, np.arange(len(frames))).round().astype(int)
        channels[i] = weight * (labels[frames[nearest]][:, None] > np.arange(phases - 1))
    return torch.from_numpy(channels).to(device)


def labelled_bounds(
    positions: Sequence[np.ndarray], train: VideoSet, action: np.ndarray, *, num_actions: int
) -> Tensor:
    """Return where on their prototypes actions begin and end by their labels, (A, 2); NaN where there are hardly any.

    A video that waits, or whose figure walks up first, has no label there. The begin is the prototype time before which
    the fewest frames have labels and behind which the fewest have none yet; the end alike.

    Args:
        positions: Prototype times of the frames of each video, (L_i,).
        train: N videos.
        action: (N,) number of each video's action.
        num_actions: A.
    """
    found = np.full((num_actions, 2), np.nan)
    for number in range(num_actions):
        mine = [i for i in np.flatnonzero(action == number).tolist() if (train.labels(i) >= 0).any()]
        if len(mine) < _FEWEST:
            continue
        for side in (0, 1):
            inside, outside = [], []
            for i in mine:
                position, known = np.abs(positions[i] - side), train.labels(i) >= 0
                first = int((known if side == 0 else known[::-1]).argmax())
                before = position[:first] if side == 0 else position[len(known) - first :]
                inside.append(position[known])
                outside.append(before)
            found[number, side] = abs(side - _split(np.concatenate(outside), np.concatenate(inside)))
    return torch.from_numpy(found)


def _split(low: np.ndarray, high: np.ndarray) -> float:
    """Return the place in [0, _MOST] above which the fewest of ``low`` lie, and below which the fewest of ``high``."""
    low, high = np.sort(low[low > 0]), np.sort(high)
    places = np.concatenate([[0.0], low[low < _MOST] + 1e-6])
    wrong = len(low) - np.searchsorted(low, places) + np.searchsorted(high, places)
    return float(places[wrong.argmin()])
