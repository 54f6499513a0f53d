"""Alignments with a different warp for each video, and one video in the argument names of metrics."""

import numpy as np
import torch

from tpl_lightning.data import ArrayCache, VideoSet
from tpl_lightning.evaluation.alignment import Alignment

LENGTH = 9  # points of the prototype of `aligned_videos`
SPLIT = np.array(["train", "train", "train", "test", "test", "val"])


def warped(videos):
    """An alignment of the videos of a small cache."""
    positions, sources = [], []
    for i, length in enumerate(videos.lengths.tolist()):
        power = 1 + 0.2 * (i % 3)
        positions.append(np.linspace(0, 1, length) ** power)
        sources.append(np.linspace(0, 1, 20 if videos.action[i] == "jump" else 23) ** (1 / power))
    return Alignment.from_rows(
        video_id=videos.video_id, action=videos.action, split=videos.split, positions=positions, sources=sources
    )


def aligned_videos():
    """Return an alignment of six labelled videos, warped by random powers, and the videos."""
    rng = np.random.default_rng(0)
    lengths = [6, 9, 12, 7, 10, 8]
    labels = [np.sort(rng.integers(0, 3, n)).astype(np.int16) for n in lengths]
    labels[1][2:4] = -1
    frames = [rng.normal(size=(n, 3)) + own[:, None] for n, own in zip(lengths, labels, strict=True)]
    cache = ArrayCache(frames, action=["jump"] * 6, labels=labels, phase_names={"jump": ["a", "b", "c"]})
    videos = VideoSet(cache).with_split(SPLIT)
    powers = rng.uniform(0.7, 1.4, 6)
    alignment = Alignment.from_rows(
        video_id=videos.video_id,
        action=videos.action,
        split=SPLIT,
        positions=[np.linspace(0, 1, n) ** p for n, p in zip(lengths, powers, strict=True)],
        sources=[np.linspace(0, 1, LENGTH) ** (1 / p) for p in powers],
    )
    return alignment, videos


def metric_batch(alignment, videos, row):
    """One video in the argument names of the metrics."""
    length = torch.tensor([len(alignment.position(row))])
    return {
        "position": torch.from_numpy(alignment.position(row))[None],
        "labels": torch.from_numpy(videos.labels(row).astype(np.int64))[None],
        "lengths": length,
        "action": torch.tensor([0]),
        "source_position": torch.from_numpy(alignment.source(row))[None],
        "prototype_length": torch.tensor([LENGTH]),
    }
