"""Labels of training videos as channels of the joint fit (``direct.labels``)."""

import numpy as np
import torch

from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.functional.joint import Guide

__all__ = ["label_guide"]


def label_guide(train: VideoSet, size: int, weight: float, *, device: torch.device | str = "cpu") -> Guide | None:
    """Return what the labels of training videos have to say in their warps.

    Channel k is ``weight`` from the begin of phase k + 1 on, and 0 before. A frame without a label has that of the
    nearest frame with one.

    Args:
        train: The videos.
        size: Points G of the shared grid, times j / (G - 1) of each video.
        weight: Against features of variance 1.
        device: Where the channels are to be.

    Returns:
        Channels (N, G, phases - 1), and which videos have any label; None where they have nothing to say.
    """
    phases = max((len(names) for names in train.phase_names.values()), default=0)
    if weight == 0 or phases < 2:
        return None
    channels = np.zeros((len(train), size, phases - 1), dtype=np.float32)
    known = np.zeros(len(train), dtype=bool)
    for i in range(len(train)):
        labels = train.labels(i)
        frames = np.flatnonzero(labels >= 0)
        if len(frames) == 0:
            continue
        nearest = np.interp(np.linspace(0, len(labels) - 1, size), frames, np.arange(len(frames))).round().astype(int)
        channels[i] = weight * (labels[frames[nearest]][:, None] > np.arange(phases - 1))
        known[i] = True
    return Guide(torch.from_numpy(channels).to(device), torch.from_numpy(known).to(device))
