"""Labels of training videos as supervised channels of the joint fit (``direct.labels``)."""

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.data import VideoSet

__all__ = ["label_channels"]


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
