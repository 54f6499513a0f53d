"""Every pair of metrics in a MetricCollection that shares states: each says what it says alone."""

from itertools import product

import pytest
import torch
from torchmetrics import MetricCollection

from tests.metrics.kinds import KINDS, arguments, make_batch, taught


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
                        taught(metric, 7 + number)  # each by videos of its own
                if group is joined:
                    collection.update(**make_batch(seed))
                else:
                    for metric in group:
                        metric.update(**arguments(metric, make_batch(seed)))
        found = collection.compute()
        for name, metric in zip("ab", alone, strict=True):
            torch.testing.assert_close(found[name], metric.compute(), rtol=0, atol=0, equal_nan=True)
            assert torch.isfinite(found[name])


def test_alike_metrics_still_share_their_states():
    """Collections save work by it; what is told by ``update`` alone may be shared."""
    collection = MetricCollection({"a": KINDS["cbc"](), "b": KINDS["cbc"]()}, compute_groups=True)
    collection.update(**make_batch(0))
    assert list(collection.compute_groups.values()) == [["a", "b"]]
