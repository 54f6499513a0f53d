"""What must not change an alignment: order, batches, scale, offset, order of channels, uniform resampling."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tpl_lightning.aligners.registry import build_aligner
from tpl_lightning.config.loading import load_config
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.data.video_set import VideoSet

LENGTHS = (18, 30, 24, 40, 33)
FEW = settings(
    max_examples=2, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _signals():
    """Smooth videos of one action at five tempos, as functions of their own time."""
    waves = np.random.default_rng(0).normal(size=(5, 6))
    powers = (0.7, 1.4, 1.0, 1.2, 0.85)

    def signal(number, times):
        progress = times ** powers[number]
        noise = np.random.default_rng(number).normal(size=(4, 6))
        own = 0.05 * np.sin(2 * np.pi * times[:, None] * np.arange(1, 5)) @ noise
        return np.cos(np.pi * progress[:, None] * np.arange(1, 6)) @ waves + own

    return signal


def _fitted(folder, method, *, order=range(5), change=lambda x: x, finer=1, options=()):
    """Fit and return T^-theta at 33 even times of each video, by its number, and the prototype's length."""
    signal, path = _signals(), folder / "c.h5"
    with EmbeddingCacheWriter(
        path, dataset="d", extractor="e", source="made by a test", phase_names={}, dtype="float32"
    ) as writer:
        for number in order:
            times = np.linspace(0, 1, (LENGTHS[number] - 1) * finer + 1)
            frames = change(signal(number, times))
            writer.append(video_id=str(number), action="jump", split="train", embeddings=frames)
    config = load_config([f"method={method}", "direct.device=cpu", *options])
    videos = VideoSet(EmbeddingCache(path))
    aligner = build_aligner(config, folder)
    aligner.fit(videos)
    alignment, even = aligner.align(videos), np.linspace(0, 1, 33)
    found = {}
    for row, name in enumerate(alignment.video_id):
        position = alignment.position(row)
        found[int(name)] = np.interp(even, np.linspace(0, 1, len(position)), position)
    return np.stack([found[number] for number in range(5)])


@pytest.fixture(scope="module", params=["linear", "direct"])
def method(request):
    return request.param


@pytest.fixture(scope="module")
def expected(method, tmp_path_factory):
    return _fitted(tmp_path_factory.mktemp("plain"), method)


@given(order=st.permutations(range(5)))
@FEW
def test_the_order_of_the_videos(tmp_path, method, expected, order):
    np.testing.assert_allclose(_fitted(tmp_path, method, order=order), expected, atol=5e-3)


@given(scale=st.sampled_from((1e-3, 0.1, 7.0, 1e3)))
@FEW
def test_the_scale(tmp_path, method, expected, scale):
    np.testing.assert_allclose(_fitted(tmp_path, method, change=lambda x: scale * x), expected, atol=5e-3)


@given(seed=st.integers(0, 99))
@FEW
def test_an_offset_of_each_channel(tmp_path, method, expected, seed):
    offset = np.random.default_rng(seed).normal(size=6) * 3
    np.testing.assert_allclose(_fitted(tmp_path, method, change=lambda x: x + offset), expected, atol=5e-3)


@given(order=st.permutations(range(6)))
@FEW
def test_the_order_of_the_channels(tmp_path, method, expected, order):
    found = _fitted(tmp_path, method, change=lambda x: x[:, order])
    np.testing.assert_allclose(found, expected, atol=5e-3)


@pytest.mark.parametrize("finer", [2, 3])
def test_uniform_resampling(tmp_path, method, expected, finer):
    """Frames put evenly between frames: time stays where it was, but for what interpolation of the rows does."""
    np.testing.assert_allclose(_fitted(tmp_path, method, finer=finer), expected, atol=0.02)


@pytest.mark.parametrize("size", [1, 2, 64])
def test_the_size_of_batches(tmp_path, method, expected, size):
    found = _fitted(tmp_path, method, options=[f"data.batch_size={size}"])
    np.testing.assert_allclose(found, expected, atol=1e-6)
