"""The direct fit: recovery of known warps, barycenters, independence of the batch, warps from positions."""

import pytest
import torch

from tests.groupwise.warped_signals import GRID, slow_energy, warped_signals
from tpl_lightning.functional.smoothing import sample_rows, smoothed
from tpl_lightning.functional.warps.cpab import cpab_warp
from tpl_lightning.groupwise import energy
from tpl_lightning.groupwise import fit as groupwise_fit
from tpl_lightning.groupwise.fit import (
    JointOptions,
    enough_of_each,
    fit_jointly,
    fit_to_prototypes,
    warps_from_positions,
)


def test_known_warps_are_recovered():
    signal, action, theta = warped_signals(12)
    options = JointOptions(smoothness=1e-5, offset_shrinkage=1.0, rounds=40, scales=(0.1, 0.05, 0.025, 0.0125))
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
    signal, action, _ = warped_signals()
    theta = fit_jointly(signal, action, num_actions=2, options=JointOptions(smoothness=1e4))
    assert theta.abs().max() < 1e-2


def test_mean_theta_of_each_action_is_zero():
    signal, action, _ = warped_signals(noise=0.1)
    theta = fit_jointly(signal, action, num_actions=2, options=JointOptions())
    for a in range(2):
        assert theta[action == a].mean(0).abs().max() < 1e-5


def test_new_videos_do_not_change_one_another(monkeypatch):
    signal, action, _ = warped_signals(20, noise=0.1)
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


def test_barycenters_leave_a_video_out_and_know_what_others_lack():
    values = torch.tensor([[1.0, 5.0], [2.0, 0.0], [6.0, 9.0], [4.0, 4.0]]).unsqueeze(1)
    weight = torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]).unsqueeze(1)
    action = torch.tensor([0, 0, 0, 1])
    others, mean = groupwise_fit.barycenters(values, action, num_actions=2, weight=weight)
    assert others[:, 0].tolist() == [[4.0, 9.0], [3.5, 0.0], [1.5, 5.0], [4.0, 4.0]]  # alone: compared with itself
    assert mean[:, 0].tolist() == [[3.0, 7.0], [4.0, 4.0]]


def test_error_is_the_distance_to_the_prototype():
    signal, action, _ = warped_signals(noise=0.1)
    options = JointOptions(scales=(0.02,))
    prototypes = _prototypes(signal, action, fit_jointly(signal, action, num_actions=2, options=options))
    theta, error = fit_to_prototypes(signal, action, prototypes, options=options)
    smooth = groupwise_fit.signal_at_scale(signal, 0.02)
    near = smoothed(prototypes, 0.02, smooth.shape[1])[action]
    expected = slow_energy(smooth, near, theta, JointOptions(smoothness=0.0))
    assert torch.allclose(error.float(), expected, rtol=1e-4, atol=1e-6)


def test_agreement_is_what_a_loop_over_videos_finds():
    signal, action, theta = warped_signals(10, noise=0.3)
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


@pytest.mark.parametrize(
    ("actions", "most", "each"), [(1, 1500, 360), (15, 1500, 24), (50, 1500, 24), (4, 2, 2), (4, 40, 10)]
)
def test_enough_videos_of_each_action(actions, most, each):
    assert enough_of_each(actions, most) == each
