"""A small HOG, and frames for it."""

import numpy as np

from tpl_lightning.features.gradients import HogParams

SMALL = HogParams(size=32, cell=8, block=2, orientations=6)


def blobs(count, height=40, width=60, seed=0):
    """Frames with a rectangle that moves over a fixed texture."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(rng.integers(60, 120, size=(1, height, width, 3)), count, axis=0).astype(np.uint8)
    for index, x in enumerate(np.linspace(2, width - 16, count).astype(int)):
        frames[index, 10:28, x : x + 12] = 230
    return frames
