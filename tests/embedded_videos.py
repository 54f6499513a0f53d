"""Videos of labelled frames with embeddings, padded into batches."""

import numpy as np
import torch

CHANNELS, ACTIONS = 4, 2
SIZES = {"num_actions": ACTIONS, "num_channels": CHANNELS}


def make_batch(numbers, seed=0, frames=15):
    """Videos by number: the same number is the same video, whatever the batch."""
    rows = []
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        length = int(rng.integers(3, frames - 2))
        labels = np.sort(rng.integers(0, 3, length))
        x = rng.normal(size=(length, CHANNELS)) + 1.5 * labels[:, None] * np.array([1, -1, 0, 0.5])
        labels[rng.random(length) < 0.15] = -1
        rows.append((x.astype(np.float32), labels, length, number % ACTIONS))
    embeddings = torch.full((len(rows), frames, CHANNELS), 9e9)
    padded = torch.full((len(rows), frames), 2)
    for i, (x, labels, length, _) in enumerate(rows):
        embeddings[i, :length], padded[i, :length] = torch.from_numpy(x), torch.from_numpy(labels)
    return {
        "embeddings": embeddings,
        "labels": padded,
        "lengths": torch.tensor([r[2] for r in rows], dtype=torch.int64),
        "action": torch.tensor([r[3] for r in rows], dtype=torch.int64),
        "video_index": torch.tensor(list(numbers), dtype=torch.int64),
    }


def without_labels(batch):
    return {k: v for k, v in batch.items() if k != "labels"}


def parts(batch):
    return [
        (x[:n].double().numpy(), y[:n].numpy(), int(a))
        for x, y, n, a in zip(*(batch[k] for k in ("embeddings", "labels", "lengths", "action")), strict=True)
    ]
