"""The same body as three programs write it: how such files are read, and what must come out."""

import numpy as np

from tests.signal_factory import body
from tpl_lightning.datasets.signals.registry import SIGNALS

LENGTHS = {"one": 12, "two": 15}


def read(layout, root, *, gaps="refuse"):
    return SIGNALS[layout].read(root, None, gaps=gaps, fps=25)


def expected(length):
    points = body(length, 0.3) - body(length, 0.3).mean(axis=1, keepdims=True)
    size = np.median(np.sqrt((points**2).sum(axis=-1).mean(axis=1)))
    return (points / size).reshape(length, -1)


def check(recordings, *, names=("one", "two"), axes=2):
    assert [(r.video_id, r.action) for r in recordings] == [(name, "reach") for name in names]
    for recording, length in zip(recordings, LENGTHS.values(), strict=True):
        values = recording.table.values.reshape(length, 4, axes)[..., :2].reshape(length, -1)
        np.testing.assert_allclose(values, expected(length), atol=1e-4)
