"""A person at an action, and the camera that sees them."""

import numpy as np

from tpl_lightning.synthetic.actions import ACTION_TABLE, Style
from tpl_lightning.synthetic.body import BodyShape
from tpl_lightning.synthetic.canvas import Camera


def posed(action, progress=(0.0, 0.5, 1.0), seed=0):
    """Return skeleton and measures of a person at an action."""
    rng = np.random.default_rng(seed)
    body, style = BodyShape.random(rng), Style.random(len(progress), rng)
    return ACTION_TABLE[action].skeleton(np.array(progress), body, style), body


def still_camera(size, *, target=(0.0, 1.0, 0.0), pitch=0.15):
    """Return a camera that looks along -z at a figure about two metres high."""
    drift = np.array([[[1.0, 0, 0], [0, 1, 0]]])
    return Camera(np.array(target), 0.0, pitch, 6.0, 0.4 * size, np.full(2, size / 2), drift)
