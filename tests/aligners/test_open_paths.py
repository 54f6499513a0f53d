"""Paths with open ends: what is cut off and what idles is found; barycenters of cut videos."""

import numpy as np
import pytest

from tpl_lightning.aligners.open_paths import open_barycenter, open_path_positions, open_path_weights
from tpl_lightning.evaluation import idle_frames

TIME = np.linspace(0, 1, 60)
PROTOTYPE = np.stack([np.cos(3 * TIME), np.sin(5 * TIME), 2 * TIME], 1)


@pytest.mark.parametrize("gamma", [None, 0.01])
def test_a_video_that_misses_its_ends(gamma):
    position, source = open_path_positions(open_path_weights(PROTOTYPE, PROTOTYPE[12:51], gamma))
    np.testing.assert_allclose(position, TIME[12:51], atol=0.02)
    assert (source[:11] < 0).all()
    assert (source[52:] > 1).all()
    assert (np.diff(source) >= 0).all()


@pytest.mark.parametrize("gamma", [None, 0.01])
def test_a_video_that_idles_first(gamma):
    elsewhere = PROTOTYPE[0] + np.random.default_rng(0).normal(3, 0.3, (20, 3))
    position, source = open_path_positions(open_path_weights(PROTOTYPE, np.concatenate([elsewhere, PROTOTYPE]), gamma))
    before, after = idle_frames(position.astype(np.float32), source.astype(np.float32))
    assert abs(before.sum() - 20) <= 1
    assert not after.any()
    assert source[0] == pytest.approx(20 / 79, abs=0.02)
    assert source[-1] == pytest.approx(1.0)


def test_a_barycenter_of_cut_videos_is_what_they_were_cut_from():
    videos = [PROTOTYPE[a:b] for a, b in ((0, 50), (8, 60), (4, 55))]
    start = PROTOTYPE + 0.1 * np.random.default_rng(0).normal(size=PROTOTYPE.shape)
    found = open_barycenter(videos, start, gamma=None, max_iter=10)
    inside = slice(4, 55)  # where two videos are
    assert np.square(found - PROTOTYPE)[inside].mean() < 0.5 * np.square(start - PROTOTYPE)[inside].mean()
