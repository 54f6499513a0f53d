"""One metric of each kind, and batches in the argument names of all of them."""

import inspect

import torch

from tpl_lightning.metrics import (
    AlignmentScore,
    CycleBackConsistency,
    KendallsTau,
    KeyEventSpread,
    PhaseAccuracy,
    PhaseLabelPropagation,
)

ACTIONS, PHASES, POINTS, CHANNELS = 2, 3, 9, 4
KINDS = {
    "cbc": lambda: CycleBackConsistency(num_actions=ACTIONS, num_phases=PHASES, max_length=POINTS),
    "plp": lambda: PhaseLabelPropagation(num_actions=ACTIONS, num_phases=PHASES, max_length=POINTS),
    "spread": lambda: KeyEventSpread(num_actions=ACTIONS, num_phases=PHASES),
    "accuracy": lambda: PhaseAccuracy(num_actions=ACTIONS, num_channels=CHANNELS),
    "tau": lambda: KendallsTau(num_actions=ACTIONS, num_channels=CHANNELS),
    "tau, cosine": lambda: KendallsTau(num_actions=ACTIONS, num_channels=CHANNELS, distance="cosine"),
    "score": lambda: AlignmentScore(num_actions=ACTIONS, max_length=POINTS, num_channels=CHANNELS),
}


def make_batch(seed, count=6, frames=12):
    """Videos in the argument names of all metrics; a collection gives each what it takes."""
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(6, frames + 1, (count,), generator=draw)
    time = torch.arange(frames) / (lengths[:, None] - 1)
    power = 0.5 + torch.rand(count, 1, generator=draw)
    return {
        "position": time.clamp(0, 1) ** power,
        "labels": (time * PHASES).long().clamp(max=PHASES - 1).where(time <= 1, -1),
        "lengths": lengths,
        "action": torch.arange(count) % ACTIONS,
        "source_position": torch.linspace(0, 1, POINTS) ** (1 / power),
        "prototype_length": torch.full((count,), POINTS),
        "embeddings": torch.randn(count, frames, CHANNELS, generator=draw),
        "features": torch.randn(count, frames, CHANNELS, generator=draw),
        "video_index": torch.arange(count) + 100 * seed,
        "keep": torch.ones(count, dtype=torch.bool),
    }


def arguments(metric, batch):
    """Return what of a batch the metric is updated with, as a collection chooses it."""
    return {name: batch[name] for name in inspect.signature(metric.update).parameters}


def taught(metric, seed):
    """Give a metric what it is not given by ``update``."""
    batch = make_batch(seed)
    if isinstance(metric, PhaseLabelPropagation):
        names = ("labels", "lengths", "action", "source_position", "prototype_length")
        metric.update_prototype(**{k: batch[k] for k in names})
    if isinstance(metric, PhaseAccuracy):
        metric.update_train(**{k: batch[k] for k in ("embeddings", "lengths", "action", "video_index", "labels")})
    return metric
