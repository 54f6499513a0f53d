"""A true and uneven tempo."""

import numpy as np
import pytest

from tpl_lightning.synthetic.tempo import random_progress


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 2.0])
def test_progress_rises_strictly_between_exact_ends(strength):
    for seed in range(50):
        progress = random_progress(75 + seed, strength=strength, rng=np.random.default_rng(seed))
        assert progress.shape == (75 + seed,)
        assert progress.dtype == np.float32
        assert (progress[0], progress[-1]) == (0.0, 1.0)
        assert (np.diff(progress) > 0).all()


def test_strength_decides_how_uneven_the_pace_is():
    line = np.linspace(0, 1, 100)

    def deviation(strength):
        tempos = [random_progress(100, strength=strength, rng=np.random.default_rng(seed)) for seed in range(100)]
        return np.mean([np.abs(tempo - line).max() for tempo in tempos])

    assert deviation(0.0) < 1e-6
    # A tenth of the clip off at the worst frame, on average: linear rescaling cannot align this set.
    assert deviation(1.0) > 0.10
    assert deviation(0.3) < 0.5 * deviation(1.0)


def test_tempo_is_not_linear_beyond_a_start_and_an_end():
    """Not even the best straight line explains the tempo: holds show as steps much smaller than the mean."""
    slow = [np.diff(random_progress(100, strength=1.0, rng=np.random.default_rng(s))).min() * 99 for s in range(60)]
    assert np.median(slow) < 0.3


def test_tempo_rejects_what_it_cannot_do():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="num_frames"):
        random_progress(1, strength=1.0, rng=rng)
    with pytest.raises(ValueError, match="strength"):
        random_progress(9, strength=-1.0, rng=rng)
    with pytest.raises(ValueError, match="lower it"):
        random_progress(100, strength=40.0, rng=rng)
