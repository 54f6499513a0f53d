"""Videos with phase labels at random warps, padded into batches, and their scores by loops over videos and frames."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

NUM_ACTIONS, NUM_PHASES = 3, 4
PROTOTYPE_LENGTHS = [7, 1, 12]
EVENT_SIZES = {"num_actions": NUM_ACTIONS, "num_phases": NUM_PHASES}
SIZES = {**EVENT_SIZES, "max_length": max(PROTOTYPE_LENGTHS)}


@dataclass
class Video:
    action: int
    labels: list[int]
    position: list[float]
    source: list[float]

    @property
    def points(self):
        return PROTOTYPE_LENGTHS[self.action]


def make_video(rng, *, action=None, length=None, unlabelled=0.2):
    action = int(rng.integers(NUM_ACTIONS)) if action is None else action
    length = int(rng.integers(1, 20)) if length is None else length
    labels = rng.integers(0, NUM_PHASES, length)
    labels[rng.random(length) < unlabelled] = -1
    # Multiples of 1/8 meet exact halves of an index; the rest are arbitrary float32 numbers.
    position = np.sort(np.where(rng.random(length) < 0.5, rng.integers(0, 9, length) / 8, rng.random(length)))
    points = PROTOTYPE_LENGTHS[action]
    source = np.sort(np.where(rng.random(points) < 0.5, rng.integers(0, 11, points) / 8, 1.2 * rng.random(points)))
    as_floats = [x.astype(np.float32).astype(float).tolist() for x in (position, source)]
    return Video(action, labels.tolist(), *as_floats)


def make_videos(seed, count=25, **options):
    rng = np.random.default_rng(seed)
    return [make_video(rng, **options) for _ in range(count)]


def collate(videos, *, extra=0, junk=False):
    """Pad; with junk, padding holds values that would change every score if they were read."""
    frames = max([len(v.labels) for v in videos] + [1]) + extra
    points = max([v.points for v in videos] + [1]) + extra
    labels = torch.full((len(videos), frames), 1 if junk else -1)
    position = torch.full((len(videos), frames), 0.7 if junk else 0.0)
    source = torch.full((len(videos), points), 0.3 if junk else 2.0)
    for i, video in enumerate(videos):
        labels[i, : len(video.labels)] = torch.tensor(video.labels)
        position[i, : len(video.labels)] = torch.tensor(video.position)
        source[i, : video.points] = torch.tensor(video.source)
    return {
        "position": position,
        "labels": labels,
        "lengths": torch.tensor([len(v.labels) for v in videos], dtype=torch.int64),
        "action": torch.tensor([v.action for v in videos], dtype=torch.int64),
        "source_position": source,
        "prototype_length": torch.tensor([v.points for v in videos], dtype=torch.int64),
    }


def without(batch, name):
    return {k: v for k, v in batch.items() if k != name}


def event_arguments(batch):
    return {k: batch[k] for k in ("position", "labels", "lengths", "action")}


def reference_votes(videos):
    votes = np.zeros((NUM_ACTIONS, max(PROTOTYPE_LENGTHS), NUM_PHASES), dtype=int)
    for video in videos:
        for point, time in enumerate(video.source):
            if time > 1 + 1e-6:
                continue
            label = video.labels[round(min(time, 1.0) * (len(video.labels) - 1))]
            if label >= 0:
                votes[video.action, point, label] += 1
    return votes


def reference_labels(votes):
    labels = np.full(votes.shape[:2], -1)
    for action in range(votes.shape[0]):
        for point in range(votes.shape[1]):
            best = 0
            for phase, count in enumerate(votes[action, point]):
                if count > best:
                    best, labels[action, point] = count, phase
    return labels


def reference_score(video, labels):
    right = [
        labels[video.action, round(time * (video.points - 1))] == label
        for label, time in zip(video.labels, video.position, strict=True)
        if label >= 0
    ]
    return sum(right) / len(right) if right else math.nan


def reference_mean(videos, labels, action=None):
    scores = [reference_score(v, labels) for v in videos if action in (None, v.action)]
    scores = [s for s in scores if not math.isnan(s)]
    return sum(scores) / len(scores) if scores else math.nan


def reference_spread(videos, actions=range(NUM_ACTIONS)):
    spreads = []
    for action in actions:
        for phase in range(1, NUM_PHASES):
            times = [v.position[v.labels.index(phase)] for v in videos if v.action == action and phase in v.labels]
            if len(times) >= 2:
                spreads.append(float(np.std(times)))
    return sum(spreads) / len(spreads) if spreads else math.nan


def close(value, expected):
    return value == pytest.approx(expected, abs=1e-7, nan_ok=True)
