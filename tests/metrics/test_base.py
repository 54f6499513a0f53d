"""What every metric says of itself, and of what type its sums are."""

import pytest
import torch

from tests.metrics.test_collection import KINDS

BOUNDS = {
    "cbc": (True, 0, 1),
    "plp": (True, 0, 1),
    "spread": (False, 0, None),
    "accuracy": (True, 0, 1),
    "tau": (True, -1, 1),
    "tau, cosine": (True, -1, 1),
    "score": (True, None, 1),
}


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_say_which_way_is_better_and_what_their_range_is(kind):
    metric = KINDS[kind]()
    assert (metric.higher_is_better, metric.plot_lower_bound, metric.plot_upper_bound) == BOUNDS[kind]
    # States are sums, or rows: a batch alone tells what is added, and no gradient goes through.
    assert metric.full_state_update is False
    assert metric.is_differentiable is False


@pytest.mark.parametrize("kind", KINDS)
def test_casts_of_a_module_leave_sums_as_they_are(kind):
    metric = KINDS[kind]()
    sums = {name: value for name, value in metric.metric_state.items() if isinstance(value, torch.Tensor)}
    before = {name: value.dtype for name, value in sums.items()}
    for cast in (torch.float16, torch.bfloat16, torch.float64):
        torch.nn.ModuleDict({"metric": metric}).to(cast)
        assert {name: metric.metric_state[name].dtype for name in before} == before
    assert all((value == 0).all() or name == "apart" for name, value in sums.items())
