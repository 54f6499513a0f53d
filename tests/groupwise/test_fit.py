"""The direct fit: Gauss-Newton against finite differences, recovery of known warps, independence of the batch."""

from dataclasses import replace

import pytest
import torch

from tpl_lightning.functional.smoothing import gaussian_smoother, sample_rows, smoothed
from tpl_lightning.functional.warps.cpab import cell_slopes, cpab_warp
from tpl_lightning.groupwise import energy
from tpl_lightning.groupwise import fit as groupwise_fit
from tpl_lightning.groupwise.energy import FINE_CELLS, in_detail
from tpl_lightning.groupwise.fit import (
    JointOptions,
    enough_of_each,
    fit_jointly,
    fit_to_prototypes,
    warps_from_positions,
)
from tpl_lightning.groupwise.model import JointModel, JointStart

GRID = torch.linspace(0, 1, 128)


def _videos(count=12, actions=2, noise=0.0, seed=0, strength=1.0):
    """Videos that are warps of one smooth signal per action: signals (N, G, C), actions, true theta."""
    generator = torch.Generator().manual_seed(seed)
    waves = torch.randn(actions, 5, 6, generator=generator)
    clean = torch.cos(torch.pi * GRID[:, None] * torch.arange(1, 6)) @ waves  # (A, G, C)
    theta = strength * torch.randn(count, 15, generator=generator).cumsum(1) * 0.25
    theta = theta - theta.mean(1, keepdim=True)
    action = torch.arange(count) % actions
    # U_i = P o T^-theta, so that aligned = U_i o T^theta = P.
    signal = sample_rows(clean[action], cpab_warp(-theta, GRID))
    signal = signal + noise * torch.randn(signal.shape, generator=generator)
    signal = signal - signal.mean(1, keepdim=True)
    return signal / signal.square().sum(-1).mean().sqrt(), action, theta


def _energy(signal, prototype, theta, options):
    """The objective as it is written in the module, slowly, in float64."""
    times = cpab_warp(-theta, torch.linspace(0, 1, signal.shape[1], dtype=theta.dtype), num_cells=options.num_cells)
    residual = sample_rows(prototype, times) - signal
    level = residual.mean(1)
    slopes = cell_slopes(theta, num_cells=options.num_cells)
    error = residual.square().sum(-1).mean(1) - options.level_freedom * level.square().sum(-1)
    return error + options.smoothness * slopes.square().mean(1)


@pytest.mark.parametrize("num_cells", [4, 16])
def test_energy_and_gradient_are_those_of_the_objective(num_cells):
    signal, _, _ = _videos(6)
    signal = signal.double()
    options = JointOptions(num_cells=num_cells, smoothness=0.3)
    theta = 0.3 * torch.randn(6, num_cells - 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    prototype = signal.roll(2, 0)
    problem = energy.JointProblem(signal, options, theta)
    # The true slope of a piecewise linear prototype, where the fit takes central differences.
    fine = gaussian_smoother(0.05, 128, 128, like=signal) @ prototype
    slope = torch.gradient(fine, dim=1)[0] * 127
    value, gradient, matrix = problem.linearise(signal, fine, slope, theta)
    assert torch.allclose(value, _energy(signal, fine, theta, options), atol=1e-10)
    assert torch.allclose(problem.energy(signal, fine, theta), value, atol=1e-12)
    step = 1e-5
    for k in range(num_cells - 1):
        shift = torch.zeros_like(theta)
        shift[:, k] = step
        ends = [_energy(signal, fine, theta + sign * shift, options) for sign in (1, -1)]
        numeric = (ends[0] - ends[1]) / (2 * step) / 2
        assert torch.allclose(gradient[:, k], numeric, rtol=0.05, atol=2e-3)
    assert torch.linalg.eigvalsh(matrix).min() > 0


def test_known_warps_are_recovered():
    signal, action, theta = _videos(12)
    options = JointOptions(smoothness=1e-5, level_freedom=1.0, rounds=40, scales=(0.1, 0.05, 0.025, 0.0125))
    fitted = fit_jointly(signal, action, num_actions=2, options=options)
    # Frames of equal true time lie at equal prototype times: the common warp of an action is free, nothing else.
    source = cpab_warp(theta, GRID)
    found = torch.stack([cpab_warp(-fitted[i : i + 1], source[i])[0] for i in range(len(source))])
    for a in range(2):
        assert (found[action == a] - found[action == a].mean(0)).abs().mean() < 0.001


def _prototypes(signal, action, theta):
    aligned = sample_rows(signal, cpab_warp(theta, GRID))
    return groupwise_fit.barycenters(aligned, action, num_actions=int(action.max()) + 1)[1]


def test_a_strong_prior_keeps_the_identity():
    signal, action, _ = _videos()
    theta = fit_jointly(signal, action, num_actions=2, options=JointOptions(smoothness=1e4))
    assert theta.abs().max() < 1e-2


def test_mean_theta_of_each_action_is_zero():
    signal, action, _ = _videos(noise=0.1)
    theta = fit_jointly(signal, action, num_actions=2, options=JointOptions())
    for a in range(2):
        assert theta[action == a].mean(0).abs().max() < 1e-5


def test_new_videos_do_not_change_one_another(monkeypatch):
    signal, action, _ = _videos(20, noise=0.1)
    options = JointOptions()
    fitted = fit_jointly(signal[:12], action[:12], num_actions=2, options=options)
    prototypes = _prototypes(signal[:12], action[:12], fitted)
    together, error = fit_to_prototypes(signal[12:], action[12:], prototypes, options=options)
    for i in range(8):
        alone = fit_to_prototypes(signal[12 + i : 13 + i], action[12 + i : 13 + i], prototypes, options=options)
        assert torch.allclose(together[i], alone[0][0], atol=1e-3)
        assert torch.allclose(error[i], alone[1][0], rtol=1e-3)
    monkeypatch.setattr(energy, "CHUNK", 3)
    chunked, _ = fit_to_prototypes(signal[12:], action[12:], prototypes, options=options)
    assert torch.allclose(together, chunked, atol=1e-3)


def test_an_action_of_one_video_and_a_missing_action():
    signal, _, _ = _videos(3, actions=1)
    model, theta = JointModel.fit(signal[:1], torch.tensor([1]), num_actions=3, options=JointOptions())
    assert theta.abs().max() < 1e-3
    assert model.prototype.shape[0] == 3
    assert torch.isfinite(model.prototype).all()


def test_barycenters_leave_a_video_out_and_know_what_others_lack():
    values = torch.tensor([[1.0, 5.0], [2.0, 0.0], [6.0, 9.0], [4.0, 4.0]]).unsqueeze(1)
    weight = torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]).unsqueeze(1)
    action = torch.tensor([0, 0, 0, 1])
    others, mean = groupwise_fit.barycenters(values, action, num_actions=2, weight=weight)
    assert others[:, 0].tolist() == [[4.0, 9.0], [3.5, 0.0], [1.5, 5.0], [4.0, 4.0]]  # alone: compared with itself
    assert mean[:, 0].tolist() == [[3.0, 7.0], [4.0, 4.0]]


def test_error_is_the_distance_to_the_prototype():
    signal, action, _ = _videos(noise=0.1)
    options = JointOptions(scales=(0.02,))
    prototypes = _prototypes(signal, action, fit_jointly(signal, action, num_actions=2, options=options))
    theta, error = fit_to_prototypes(signal, action, prototypes, options=options)
    smooth = groupwise_fit.signal_at_scale(signal, 0.02)
    near = smoothed(prototypes, 0.02, smooth.shape[1])[action]
    expected = _energy(smooth, near, theta, JointOptions(smoothness=0.0))
    assert torch.allclose(error.float(), expected, rtol=1e-4, atol=1e-6)


def test_agreement_is_what_a_loop_over_videos_finds():
    signal, action, theta = _videos(10, noise=0.3)
    times = cpab_warp(theta, GRID)

    def distance(videos):
        total = 0.0
        for i in range(len(videos)):
            others = [videos[j] - videos[j].mean(0) for j in range(len(videos)) if j != i and action[j] == action[i]]
            total += float((videos[i] - videos[i].mean(0) - torch.stack(others).mean(0)).square().sum())
        return total

    expected = 1 - distance(sample_rows(signal, times)) / distance(signal)
    assert groupwise_fit.explained_variance(signal, times, action, num_actions=2) == pytest.approx(expected, abs=1e-5)
    assert expected > 0.3
    unmoved = groupwise_fit.explained_variance(signal, GRID.expand_as(times), action, num_actions=2)
    assert unmoved == pytest.approx(0, abs=1e-5)
    assert groupwise_fit.explained_variance(signal[:1], times[:1], action[:1], num_actions=2) == 0


@pytest.mark.parametrize("num_cells", [8, 16])
def test_warps_from_positions_inverts_the_flow(num_cells):
    theta = torch.randn(5, num_cells - 1, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    position = cpab_warp(-theta, GRID.double(), num_cells=num_cells)
    found = warps_from_positions(position, num_cells=num_cells, smoothness=1e-9, steps=40)
    assert torch.allclose(cpab_warp(-found, GRID.double(), num_cells=num_cells), position, atol=1e-3)


@pytest.mark.parametrize("num_cells", [8, 16, 64])
def test_the_linear_start_is_exact_to_second_order(num_cells):
    generator = torch.Generator().manual_seed(4)
    theta = torch.randn(5, num_cells - 1, dtype=torch.float64, generator=generator)
    grid = torch.linspace(0, 1, 8 * num_cells + 1, dtype=torch.float64)
    errors = []
    for size in (0.1, 0.05):
        position = cpab_warp(-size * theta, grid, num_cells=num_cells)
        found = warps_from_positions(position, num_cells=num_cells, smoothness=0, steps=0)
        errors.append(float((cpab_warp(-found, grid, num_cells=num_cells) - position).abs().max()))
    assert errors[1] < errors[0] / 6  # a third of the order 3: 8, of the order 2: 4
    assert errors[1] < 0.02 * float((position - grid).abs().max())


def test_metric_finds_the_signal_among_noise():
    signal, action, _ = _videos(16)
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
    signal, action, _ = _videos(noise=0.1)
    model, _ = JointModel.fit(signal, action, num_actions=2, options=JointOptions())
    again = JointModel.from_state(model.state())
    first, second = (m.align(m.space(signal), action) for m in (model, again))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


@pytest.mark.parametrize("paths", [True, False])
def test_states_of_other_versions_are_read(paths):
    """They held prototypes of each stage and options that are gone, and may lack some that are new."""
    signal, action, _ = _videos(noise=0.1)
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
    signal, action, _ = _videos(noise=0.1)
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
    expected = groupwise_fit.barycenters(model.space(signal), action, num_actions=2)[1]
    level = model.options.level_freedom * expected.mean(1, keepdim=True)
    torch.testing.assert_close(again.prototype, expected - level)


def test_paths_find_the_warp_where_gradient_steps_end_in_another_minimum():
    beats = torch.sin(2 * torch.pi * 5 * GRID)  # each beat looks like the next, one in the middle is higher
    shape = torch.stack([beats + 2 * torch.exp(-(((GRID - 0.5) / 0.03) ** 2)), beats.roll(6)], -1)
    late = torch.tensor([[0.0] * 3 + [2.2] * 9 + [0.0] * 3])  # moves the middle by more than half a beat
    signal = sample_rows(shape.unsqueeze(0), cpab_warp(-late, GRID))
    options = JointOptions(scales=(0.0125,), smoothness=1e-3, level_freedom=0.0)
    action = torch.zeros(1, dtype=torch.int64)
    model, _ = JointModel.fit(shape.unsqueeze(0), action, num_actions=1, options=replace(options, derivative=0.0))
    model = replace(model, options=options, space=replace(model.space, metric=None), prototype=shape.unsqueeze(0))
    errors = []
    for start in (None, torch.zeros_like(late)):
        theta = model.align(signal, action, theta=start)[0]
        errors.append(float((sample_rows(signal, cpab_warp(theta, GRID)) - shape).square().mean()))
    assert errors[0] < 0.3 * errors[1]


def test_detail_has_more_cells_and_less_prior():
    coarse, fine = JointOptions(smoothness=0.2), in_detail(JointOptions(smoothness=0.2))
    assert fine.num_cells == FINE_CELLS
    assert fine.smoothness < 0.01
    assert max(fine.scales) <= 0.0125
    assert fine.level_freedom == 1
    assert 0 < fine.derivative < coarse.derivative
    assert fine.derivative_sigma < coarse.derivative_sigma
    assert fine.shrinkage > coarse.shrinkage
    assert fine.path_rounds > coarse.path_rounds
    assert in_detail(JointOptions(derivative=0.0)).derivative == 0


def test_the_prior_is_adapted_to_what_the_fit_finds():
    """Clean features of uneven videos get a weaker prior and better warps; noisy ones do not."""

    def fit(signal, action, adapt):
        options = JointOptions(derivative=0.0, adapt=adapt)
        return JointModel.fit(signal, action, num_actions=2, options=options)

    signal, action, truth = _videos(16)
    truth = groupwise_fit.gauge_fixed(truth, action, num_actions=2)

    def error(theta):
        return float((cpab_warp(theta, GRID) - cpab_warp(truth, GRID)).abs().mean())

    (strong, strong_theta), (weak, weak_theta) = (fit(signal, action, adapt) for adapt in (0.0, 0.05))
    assert strong.options.smoothness == JointOptions().smoothness
    assert weak.options.smoothness < 0.5 * JointOptions().smoothness
    assert error(weak_theta) < error(strong_theta)
    noise = 3 * torch.randn(signal.shape, generator=torch.Generator().manual_seed(4))
    assert fit(signal + noise, action, 0.05)[0].options.smoothness >= JointOptions().smoothness


@pytest.mark.parametrize(
    ("actions", "most", "each"), [(1, 1500, 360), (15, 1500, 24), (50, 1500, 24), (4, 2, 2), (4, 40, 10)]
)
def test_enough_videos_of_each_action(actions, most, each):
    assert enough_of_each(actions, most) == each
