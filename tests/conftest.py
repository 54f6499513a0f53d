"""Small caches that the tests make themselves, and what else they share."""

import os
import random
import signal
import socket

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

if os.environ.get("TPL_CHECK_SHAPES"):  # set by tests/test_shapes.py
    from tests.shapes import check_shapes

    check_shapes()

from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter

# How long a case takes tells how busy the machine is, and nothing of the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
torch.set_num_threads(1)  # small tensors; and other programs may hold the other cores
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what it runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("WANDB_MODE", "disabled")  # tests that log say so


def free_port():
    """Return a port that nothing listens on, from below those that systems give to outgoing connections."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as free:
            if free.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("Expected a free port from 20000 on, but found none.")


def random_tensor(*shape, seed=0):
    """Return standard normal numbers, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def write_cache(
    path,
    *,
    videos=8,
    actions=("jump", "turn"),
    channels=6,
    seed=0,
    labels=True,
    split=None,
    source="made by a test",
    frames=(20, 40),
    strength=0.8,
):
    """Write videos of smooth signals at a random tempo: one signal per action, three phases, true progress."""
    rng = np.random.default_rng(seed)
    names = {action: ["begin", "middle", "end"] for action in actions} if labels else {}
    waves = {action: rng.normal(size=(4, channels)) for action in actions}
    with EmbeddingCacheWriter(path, dataset="tiny", extractor="waves", source=source, phase_names=names) as writer:
        for number in range(videos):
            action = actions[number % len(actions)]
            length = int(rng.integers(*frames))
            time = np.linspace(0, 1, length)
            progress = time + strength * rng.uniform(-1, 1) * time * (1 - time)
            progress = progress.clip(0, 1)
            signal = np.cos(np.pi * progress[:, None] * np.arange(1, 5)) @ waves[action]
            signal += 0.05 * rng.normal(size=signal.shape) + rng.normal(size=channels)
            default = "test" if number >= videos * 3 // 4 else "train"
            writer.append(
                video_id=f"{action}_{number}",
                action=action,
                split=split[number] if split else default,
                embeddings=signal,
                labels=np.minimum((progress * 3).astype(int), 2) if labels else None,
                fps=25.0,
                progress=progress,
            )
    return path


@pytest.fixture
def make_cache():
    """Write a small labelled cache: ``make_cache(path, videos=8, ...)``, see :func:`write_cache`."""
    return write_cache


@pytest.fixture
def cache_path(tmp_path):
    """A labelled cache of 8 videos, 2 actions, 6 train and 2 test."""
    return write_cache(tmp_path / "tiny.h5")


@pytest.fixture
def cache(cache_path):
    return EmbeddingCache(cache_path)
