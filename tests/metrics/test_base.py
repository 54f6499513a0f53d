"""What every metric says of itself, of what type its sums are, and that they can be emptied, copied and added to."""

import pickle

import pytest
import torch

from tests.metrics.kinds import KINDS, arguments, make_batch, taught

BOUNDS = {
    "cbc": (True, 0, 1),
    "plp": (True, 0, 1),
    "spread": (False, 0, None),
    "accuracy": (True, 0, 1),
    "tau": (True, -1, 1),
    "tau, cosine": (True, -1, 1),
    "score": (True, None, 1),
}
BY_UPDATE_ALONE = [kind for kind in KINDS if kind not in ("plp", "accuracy")]  # they learn from other videos, too


def _filled(kind, seeds=(0, 1)):
    metric = taught(KINDS[kind](), 7)
    for seed in seeds:
        metric.update(**arguments(metric, make_batch(seed)))
    return metric


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
        module = torch.nn.ModuleList([torch.nn.Linear(2, 2), metric]).to(cast)
        assert module[0].weight.dtype == cast
        assert {name: metric.metric_state[name].dtype for name in before} == before
    metric.reset()
    assert {name: metric.metric_state[name].dtype for name in before} == before
    assert all((value == 0).all() or name == "apart" for name, value in sums.items())


@pytest.mark.parametrize("kind", KINDS)
def test_reset_empties_everything(kind):
    metric = _filled(kind)
    value = metric.compute()
    assert torch.isfinite(value)
    metric.reset()
    assert not metric.update_called
    for name, state in metric.metric_state.items():
        assert len(state) == 0 if isinstance(state, list) else (state == 0).all() or name == "apart"
    again = taught(metric, 7)
    for seed in (0, 1):
        again.update(**arguments(again, make_batch(seed)))
    assert torch.equal(again.compute(), value)


@pytest.mark.parametrize("kind", KINDS)
def test_states_reset_in_inference_mode_can_be_used_outside(kind):
    metric = KINDS[kind]()
    with torch.inference_mode():
        taught(metric, 7).update(**arguments(metric, make_batch(0)))
        expected = metric.compute()
        metric.reset()
    taught(metric, 7).update(**arguments(metric, make_batch(0)))
    assert torch.equal(metric.compute(), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_keep_their_sums_when_pickled(kind):
    metric = _filled(kind)
    copy = pickle.loads(pickle.dumps(metric))
    assert torch.equal(copy.compute(), metric.compute())
    if kind != "score":
        torch.testing.assert_close(copy.per_action(), metric.per_action(), rtol=0, atol=0, equal_nan=True)
    for one in (metric, copy):
        one.update(**arguments(one, make_batch(2)))
    assert torch.equal(copy.compute(), metric.compute())


@pytest.mark.parametrize("kind", BY_UPDATE_ALONE)
def test_forward_gives_the_value_of_the_batch_and_adds_up(kind):
    forwarded = KINDS[kind]()
    for seed in (0, 1):
        batch = arguments(forwarded, make_batch(seed))
        assert torch.equal(forwarded(**batch), _filled(kind, [seed]).compute())
    torch.testing.assert_close(
        forwarded.compute(), _filled(kind).compute(), rtol=0, atol=1e-8
    )  # a score adds in float32


@pytest.mark.parametrize("kind", BY_UPDATE_ALONE)
def test_without_videos_they_are_nan_and_torchmetrics_warns(kind):
    metric = KINDS[kind]()
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert metric.compute().isnan()
    if kind != "score":
        assert metric.per_action().isnan().all()


def test_nothing_is_joined_in_a_single_process():
    metric = _filled("cbc", [0])
    votes = metric.votes.clone()
    metric.sync_if_needed()
    assert torch.equal(metric.votes, votes)
    metric.update(**arguments(metric, make_batch(0)))
    assert torch.equal(metric.votes, 2 * votes)
