"""Models of the joint fit: their state, the projection, paths, the prior, and supervised channels beside features."""

from dataclasses import replace

import pytest
import torch

from tests.groupwise.warped_signals import GRID, warped_signals
from tpl_lightning.functional.smoothing import sample_rows, smoothed
from tpl_lightning.functional.warps.cpab import cpab_warp
from tpl_lightning.groupwise.fit import JointOptions, barycenters, fit_jointly, gauge_fixed
from tpl_lightning.groupwise.model import JointModel, JointStart


def test_an_action_of_one_video_and_a_missing_action():
    signal, _, _ = warped_signals(3, actions=1)
    model, theta = JointModel.fit(signal[:1], torch.tensor([1]), num_actions=3, options=JointOptions())
    assert theta.abs().max() < 1e-3
    assert model.prototype.shape[0] == 3
    assert torch.isfinite(model.prototype).all()


def test_metric_finds_the_signal_among_noise():
    signal, action, _ = warped_signals(16)
    generator = torch.Generator().manual_seed(5)
    clutter = torch.randn(16, 128, 6, generator=generator).cumsum(1)
    clutter = 3 * clutter / clutter.square().sum(-1).mean().sqrt()
    both = torch.cat([signal, clutter], -1)
    both = both - both.mean(1, keepdim=True)
    both = both / both.square().sum(-1).mean().sqrt()
    model, theta = JointModel.fit(both, action, num_actions=2, options=JointOptions(derivative=0.0))
    weight = model.space.metric.square().sum(1)
    assert weight[:6].sum() > 10 * weight[6:].sum()
    plain = fit_jointly(both, action, num_actions=2, options=JointOptions(scales=(0.1, 0.05, 0.025, 0.0125)))

    def spread(theta):
        aligned = sample_rows(signal, cpab_warp(theta, GRID))
        return sum(float((aligned[action == a] - aligned[action == a].mean(0)).square().mean()) for a in (0, 1))

    assert spread(theta) < 0.7 * spread(plain)


def test_a_model_survives_its_state():
    signal, action, _ = warped_signals(noise=0.1)
    model, _ = JointModel.fit(signal, action, num_actions=2, options=JointOptions())
    again = JointModel.from_state(model.state())
    first, second = (m.align(m.space(signal), action) for m in (model, again))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


@pytest.mark.parametrize("paths", [True, False])
def test_states_of_other_versions_are_read(paths):
    """They held prototypes of each stage and options that are gone, and may lack some that are new."""
    signal, action, _ = warped_signals(noise=0.1)
    model, _ = JointModel.fit(signal, action, num_actions=2, options=JointOptions())
    state = model.state()
    prototype = state.pop("prototype")
    state["prototypes"] = [smoothed(prototype, 0.025, 80), prototype]
    state["sharp"] = prototype if paths else None
    state["options"] |= {"tolerance": 0.003, "sharpen": True, "centre": True}
    del state["options"]["shrinkage"], state["precision"]
    again = JointModel.from_state(state)
    assert torch.equal(again.align(again.space(signal), action)[0], model.align(model.space(signal), action)[0])


def test_an_infinite_prior_is_linear_rescaling():
    signal, action, _ = warped_signals(noise=0.1)
    start = JointStart.find(signal, action, num_actions=2, options=JointOptions())
    plain, theta = start.fit()
    strong, held_back = start.fit(64)
    assert 0 < held_back.abs().max() < 0.5 * theta.abs().max()
    assert strong.precision == 64 * plain.precision
    model, still = start.fit(torch.inf)
    again = JointModel.from_state(model.state())
    for found in (still, again.align(again.space(signal), action)[0]):
        assert found.shape == theta.shape
        assert found.abs().max() == 0
    expected = barycenters(model.space(signal), action, num_actions=2)[1]
    level = model.options.offset_shrinkage * expected.mean(1, keepdim=True)
    torch.testing.assert_close(again.prototype, expected - level)


def test_paths_find_the_warp_where_gradient_steps_end_in_another_minimum():
    beats = torch.sin(2 * torch.pi * 5 * GRID)  # each beat looks like the next, one in the middle is higher
    shape = torch.stack([beats + 2 * torch.exp(-(((GRID - 0.5) / 0.03) ** 2)), beats.roll(6)], -1)
    late = torch.tensor([[0.0] * 3 + [2.2] * 9 + [0.0] * 3])  # moves the middle by more than half a beat
    signal = sample_rows(shape.unsqueeze(0), cpab_warp(-late, GRID))
    options = JointOptions(scales=(0.0125,), smoothness=1e-3, offset_shrinkage=0.0)
    action = torch.zeros(1, dtype=torch.int64)
    model, _ = JointModel.fit(shape.unsqueeze(0), action, num_actions=1, options=replace(options, derivative=0.0))
    model = replace(model, options=options, space=replace(model.space, metric=None), prototype=shape.unsqueeze(0))
    errors = []
    for start in (None, torch.zeros_like(late)):
        theta = model.align(signal, action, theta=start)[0]
        errors.append(float((sample_rows(signal, cpab_warp(theta, GRID)) - shape).square().mean()))
    assert errors[0] < 0.3 * errors[1]


def test_the_prior_is_adapted_to_what_the_fit_finds():
    """Clean features of uneven videos get a weaker prior and better warps; noisy ones do not."""

    def fit(signal, action, adapt):
        options = JointOptions(derivative=0.0, empirical_bayes=adapt)
        return JointModel.fit(signal, action, num_actions=2, options=options)

    signal, action, truth = warped_signals(16)
    truth = gauge_fixed(truth, action, num_actions=2)

    def error(theta):
        return float((cpab_warp(theta, GRID) - cpab_warp(truth, GRID)).abs().mean())

    (strong, strong_theta), (weak, weak_theta) = (fit(signal, action, adapt) for adapt in (0.0, 0.05))
    assert strong.options.smoothness == JointOptions().smoothness
    assert weak.options.smoothness < 0.5 * JointOptions().smoothness
    assert error(weak_theta) < error(strong_theta)
    noise = 3 * torch.randn(signal.shape, generator=torch.Generator().manual_seed(4))
    assert fit(signal + noise, action, 0.05)[0].options.smoothness >= JointOptions().smoothness


def _noise(count=10, actions=2, known=None):
    """Videos whose features say nothing, and steps at .3 and .7 of prototype time: signal, action, labels, steps."""
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(count, 128, 4, generator=generator) / 2
    theta = torch.randn(count, 15, generator=generator).cumsum(1) * 0.25
    progress = cpab_warp(-(theta - theta.mean(1, keepdim=True)), GRID)
    steps = torch.stack([(progress > step).float() for step in (0.3, 0.7)], -1)
    labels = 2 * steps
    if known is not None:
        labels[~known] = torch.nan
    return signal, torch.arange(count) % actions, labels, steps


def _fit(signal, action, labels):
    return JointModel.fit(signal, action, num_actions=2, options=JointOptions(empirical_bayes=0.0), labels=labels)


def _spread(theta, steps, action):
    """Deviation, within an action, of the prototype times at which the steps come."""
    found = []
    for label in range(int(action.max()) + 1):
        own = sample_rows(steps, cpab_warp(theta, GRID))[action == label]
        found.append((own < 0.5).float().mean(1).std(0, correction=0).mean())
    return float(torch.stack(found).mean())


def test_labels_align_what_features_cannot():
    signal, action, labels, steps = _noise()
    (_, plain), (model, told) = (_fit(signal, action, x) for x in (None, labels))
    before = _spread(torch.zeros_like(plain), steps, action)
    assert _spread(plain, steps, action) > 0.7 * before
    assert _spread(told, steps, action) < 0.3 * before
    again = JointModel.from_state(model.state())
    assert again.align(again.space(signal), action)[0].shape == (10, 15)  # new videos: by features alone


def test_no_labels_and_those_of_one_video_of_an_action_change_nothing():
    plain = _fit(*_noise()[:2], None)[1]
    for known in (torch.zeros(10, dtype=torch.bool), torch.arange(10) < 2):
        signal, action, labels, _ = _noise(known=known)
        torch.testing.assert_close(_fit(signal, action, labels)[1], plain, atol=1e-3, rtol=0)


def test_videos_without_labels_are_moved_by_the_prototype_alone():
    known = torch.arange(10) < 6
    signal, action, labels, steps = _noise(known=known)
    told = _fit(signal, action, labels)[1]
    before = _spread(torch.zeros_like(told)[known], steps[known], action[known])
    assert _spread(told[known], steps[known], action[known]) < 0.3 * before
    assert _spread(told[~known], steps[~known], action[~known]) > 0.5 * before
