"""Clips of made-up actions: smooth curves through random poses, at an uneven pace, with noise."""

import numpy as np

from tpl_lightning.data import EmbeddingCacheWriter

CHANNELS, POSES, FPS = 12, 7, 25.0


class Actions:
    """Actions a, b, c ...; each is a curve in feature space."""

    def __init__(self, count, seed=0):
        self.rng = np.random.default_rng(seed)
        self.poses = self.rng.normal(size=(count, POSES, CHANNELS))
        self.names = [chr(ord("a") + number) for number in range(count)]

    def clip(self, number, length=None, *, poses=None):
        length = length or int(self.rng.integers(60, 100))
        time = np.linspace(0, 1, length) ** self.rng.uniform(0.75, 1.33) * (POSES - 1)
        shape = self.poses[number] if poses is None else poses
        curve = np.stack([np.interp(time, np.arange(POSES), values) for values in shape.T], 1)
        return (curve + 0.15 * self.rng.normal(size=curve.shape)).astype(np.float32)

    def pause(self, pose, length):
        return (pose + 0.15 * self.rng.normal(size=(length, CHANNELS))).astype(np.float32)

    def foreign(self, length=80):
        return self.clip(0, length, poses=self.rng.normal(size=(POSES, CHANNELS)))


def write_cache(path, videos):
    """Write (video_id, action, split, embeddings)."""
    with EmbeddingCacheWriter(path, dataset="made", extractor="none", source="made", phase_names={}) as writer:
        for video_id, action, split, embeddings in videos:
            labels = None
            writer.append(video_id=video_id, action=action, split=split, embeddings=embeddings, fps=FPS, labels=labels)
    return path


def training(actions, each=6):
    return [
        (f"{name}_{i}", name, "train", actions.clip(number))
        for number, name in enumerate(actions.names)
        for i in range(each)
    ]
