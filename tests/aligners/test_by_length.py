"""Rows that use nothing of a video but its length: linear rescaling and zero-padding."""

from pathlib import Path

import numpy as np
import pytest

from tpl_lightning.aligners.by_length import LinearAligner, PadAligner
from tpl_lightning.config import Config
from tpl_lightning.data import ArrayCache, VideoSet
from tpl_lightning.errors import UserError


@pytest.fixture
def videos(cache):
    return VideoSet(cache)


def test_linear_and_padding_rows(videos):
    train = videos.select(videos.split == "train")
    linear, pad = LinearAligner(Config(), Path()), PadAligner(Config(), Path())
    for aligner, statistic in ((linear, np.median), (pad, np.max)):
        aligner.fit(train)
        alignment = aligner.align(videos)
        for i, action in enumerate(videos.action):
            expected = int(statistic(train.lengths[train.action == action]))
            assert alignment.prototype_length[i] == expected == len(alignment.source(i))
    for i, length in enumerate(videos.lengths.tolist()):
        np.testing.assert_allclose(linear.align(videos).position(i), np.arange(length) / (length - 1), atol=1e-6)
        points = pad.prototype_length[str(videos.action[i])]
        frames = np.arange(length)
        np.testing.assert_allclose(
            pad.align(videos).position(i) * (points - 1), np.minimum(frames, points - 1), atol=1e-4
        )
    linear.fit(train.select(train.action == "jump"))
    with pytest.raises(UserError, match="'turn'"):
        linear.align(videos)


def test_padding_counts_frames_on_both_timelines():
    """A video of three frames among five points: it stands still behind its end; a longer one piles up at the last."""
    videos = VideoSet(ArrayCache([np.eye(n, 7) for n in (5, 3, 7)], action=["jump"] * 3))
    pad = PadAligner(Config(), Path())
    pad.fit(videos.select(np.array([0])))
    found = pad.align(videos)
    assert found.position(1).tolist() == [0.0, 0.25, 0.5]
    assert found.source(1).tolist() == [0.0, 0.5, 1.0, 1.0, 1.0]
    assert found.position(2).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    np.testing.assert_allclose(found.source(2), np.arange(5) / 6)


@pytest.mark.parametrize("kind", [LinearAligner, PadAligner])
def test_a_video_alone_is_placed_as_among_others(videos, kind):
    aligner = kind(Config(), Path())
    aligner.fit(videos)
    together = aligner.align(videos)
    for i in range(len(videos)):
        alone = aligner.align(videos.select(np.array([i])))
        np.testing.assert_array_equal(alone.position(0), together.position(i))
        np.testing.assert_array_equal(alone.source(0), together.source(i))
