"""Every pair of metrics in a MetricCollection that shares states: each says what it says alone."""

from itertools import product

import pytest
import torch
from torchmetrics import MetricCollection

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


def _batch(seed, count=6, frames=12):
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


def _taught(metric, seed):
    """Give a metric what it is not given by ``update``."""
    batch = _batch(seed)
    if isinstance(metric, PhaseLabelPropagation):
        names = ("labels", "lengths", "action", "source_position", "prototype_length")
        metric.update_prototype(**{k: batch[k] for k in names})
    if isinstance(metric, PhaseAccuracy):
        metric.update_train(**{k: batch[k] for k in ("embeddings", "lengths", "action", "video_index", "labels")})
    return metric


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("taught_before", [True, False])
def test_a_collection_changes_no_value(first, taught_before):
    for second in KINDS:
        alone, joined = ([KINDS[first](), KINDS[second]()] for _ in range(2))
        collection = MetricCollection({"a": joined[0], "b": joined[1]}, compute_groups=True)
        for step in range(2):
            for seed, group in product((step,), (alone, joined)):
                if taught_before == (step == 0):
                    for number, metric in enumerate(group):
                        _taught(metric, 7 + number)  # each by videos of its own
                if group is joined:
                    collection.update(**_batch(seed))
                else:
                    for metric in group:
                        metric.update(**metric._filter_kwargs(**_batch(seed)))
        found = collection.compute()
        for name, metric in zip("ab", alone, strict=True):
            torch.testing.assert_close(found[name], metric.compute(), rtol=0, atol=0, equal_nan=True)
            assert torch.isfinite(found[name])


def test_alike_metrics_still_share_their_states():
    """Collections save work by it; what is told by ``update`` alone may be shared."""
    collection = MetricCollection({"a": KINDS["cbc"](), "b": KINDS["cbc"]()}, compute_groups=True)
    collection.update(**_batch(0))
    assert list(collection.compute_groups.values()) == [["a", "b"]]
