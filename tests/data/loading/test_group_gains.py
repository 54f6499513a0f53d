"""How much each feature group counts."""

import numpy as np
import pytest

from tpl_lightning.config.runs import DataConfig
from tpl_lightning.data.cache.groups import FeatureGroup
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.data.loading.group_gains import signal_shares
from tpl_lightning.data.loading.preprocessing import Preprocessor
from tpl_lightning.data.video_set import VideoSet

GROUPS = [FeatureGroup("clear", 3), FeatureGroup("noisy", 8), FeatureGroup("noise", 8)]


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """Videos of two actions; groups of signal alone, of signal and noise of the same energy, and of noise."""
    path, rng = tmp_path_factory.mktemp("groups") / "g.h5", np.random.default_rng(0)
    time = np.linspace(0, 1, 64)
    with EmbeddingCacheWriter(
        path, dataset="d", extractor="x", source="s", phase_names={}, dtype="float32", feature_groups=GROUPS
    ) as writer:
        for number in range(24):
            waves = [np.sin(np.pi * (np.arange(1, n + 1) * time[:, None] + number % 2)) for n, _ in ((3, 0), (8, 0))]
            waves = [(w - w.mean(0)) / np.sqrt(w.var(0).sum()) for w in waves]
            noise = rng.normal(size=(2, 64, 8)) / np.sqrt(8)
            values = [100 * waves[0], waves[1] + noise[0], noise[1]]
            offset = 10 * rng.normal(size=19)
            action = "ab"[number % 2]
            embeddings = np.concatenate(values, axis=1) + offset
            writer.append(video_id=f"v{number}", action=action, split="train", embeddings=embeddings)
    return VideoSet(EmbeddingCache(path))


def test_the_share_of_signal_is_what_videos_of_an_action_have_in_common(train):
    np.testing.assert_allclose(signal_shares(train, np.arange(24)), [1.0, 0.5, 0.0], atol=0.03)
    # One video of each action has nothing to compare with.
    np.testing.assert_array_equal(signal_shares(train, np.arange(2)), [1.0, 1.0, 1.0])


def test_groups_of_noise_count_little_unless_their_weight_is_given(train):
    def energies(weights):
        fitted = Preprocessor.fit(train, DataConfig(pca=None, group_weights=weights))
        done = np.concatenate([fitted(train.read(i)) for i in range(24)])
        return np.array([part.var(axis=0).sum() for part in np.split(done, [3, 11], axis=1)])

    share = np.array([1.0, 0.75, 0.01 / (0.01 + 1 / 3)])  # s / (s + 1/3) for s = inf, 1, and the least
    np.testing.assert_allclose(energies(None), share / share.sum(), atol=0.02)
    np.testing.assert_allclose(energies([1.0, 1.0, 2.0]), [0.25, 0.25, 0.5], atol=1e-3)
