"""Energies of warps and their linearisation against finite differences, steps against SciPy's minimum."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from tests.groupwise.warped_signals import slow_energy, warped_signals
from tpl_lightning.functional.smoothing import gaussian_smoother, time_slope
from tpl_lightning.functional.warps.cpab import cpab_warp
from tpl_lightning.groupwise.energy import FINE_CELLS, JointOptions, JointProblem, chunks, in_detail, less_offset


@pytest.mark.parametrize("num_cells", [4, 16])
def test_energy_and_gradient_are_those_of_the_objective(num_cells):
    signal, _, _ = warped_signals(6)
    signal = signal.double()
    options = JointOptions(num_cells=num_cells, smoothness=0.3)
    theta = 0.3 * torch.randn(6, num_cells - 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    prototype = signal.roll(2, 0)
    problem = JointProblem(signal, options, theta)
    # The true slope of a piecewise linear prototype, where the fit takes central differences.
    fine = gaussian_smoother(0.05, 128, 128, like=signal) @ prototype
    slope = torch.gradient(fine, dim=1)[0] * 127
    value, gradient, matrix = problem.linearise(signal, fine, slope, theta)
    assert torch.allclose(value, slow_energy(signal, fine, theta, options), atol=1e-10)
    assert torch.allclose(problem.energy(signal, fine, theta), value, atol=1e-12)
    step = 1e-5
    for k in range(num_cells - 1):
        shift = torch.zeros_like(theta)
        shift[:, k] = step
        ends = [slow_energy(signal, fine, theta + sign * shift, options) for sign in (1, -1)]
        numeric = (ends[0] - ends[1]) / (2 * step) / 2
        assert torch.allclose(gradient[:, k], numeric, rtol=0.05, atol=2e-3)
    assert torch.linalg.eigvalsh(matrix).min() > 0


def test_detail_has_more_cells_and_less_prior():
    coarse, fine = JointOptions(smoothness=0.2), in_detail(JointOptions(smoothness=0.2))
    assert fine.num_cells == FINE_CELLS
    assert fine.smoothness < 0.01
    assert max(fine.scales) <= 0.0125
    assert fine.offset_shrinkage == 1
    assert 0 < fine.derivative < coarse.derivative
    assert fine.derivative_sigma < coarse.derivative_sigma
    assert fine.shrinkage > coarse.shrinkage
    assert fine.path_rounds > coarse.path_rounds
    assert in_detail(JointOptions(derivative=0.0)).derivative == 0


@pytest.mark.parametrize("ends", [(0.1, 0.9), (-0.2, 1.1), (-0.01, 1.3)])
def test_the_gradient_of_open_ends_is_that_of_differences(ends):
    """Also where a video idles, which costs."""
    signal = warped_signals(4)[0].double()
    options = JointOptions(num_cells=4, smoothness=0.3, ends=True)
    theta = 0.2 * torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    theta = torch.cat([theta, torch.tensor(ends, dtype=torch.float64).expand(4, 2)], 1)
    problem = JointProblem(signal, options, theta)
    prototype = gaussian_smoother(0.05, 128, 128, like=signal) @ signal.roll(2, 0)
    value, gradient, matrix = problem.linearise(signal, prototype, time_slope(prototype), theta)
    torch.testing.assert_close(problem.energy(signal, prototype, theta), value)
    for k in range(5):
        step = torch.zeros_like(theta)
        step[:, k] = 1e-5
        ahead, behind = (problem.energy(signal, prototype, theta + s * step) for s in (1, -1))
        torch.testing.assert_close(gradient[:, k], (ahead - behind) / 2e-5 / 2, rtol=0.05, atol=5e-3)
    assert torch.linalg.eigvalsh(matrix).min() > 0


def test_steps_arrive_where_scipy_does():
    signal = warped_signals(4, noise=0.1)[0].double()
    prototype = gaussian_smoother(0.05, 128, 128, like=signal) @ signal.roll(2, 0)
    options = JointOptions(num_cells=4, smoothness=0.03)
    problem = JointProblem(signal, options, torch.zeros(4, 3, dtype=torch.float64))
    energies = problem.minimise(lambda rows: prototype[rows], 40)
    torch.testing.assert_close(energies, slow_energy(signal, prototype, problem.theta, options))
    for i in range(4):

        def value(theta, i=i):
            own = torch.from_numpy(theta)[None]
            return float(slow_energy(signal[i : i + 1], prototype[i : i + 1], own, options))

        best = minimize(value, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10})
        assert float(energies[i]) == pytest.approx(best.fun, rel=1e-3)
        assert best.fun < 0.9 * value(np.zeros(3))


def test_no_video_takes_steps_for_another():
    signal = warped_signals(5, noise=0.1)[0]
    prototype = signal.roll(1, 0)
    theta = torch.zeros(5, 15)
    together = JointProblem(signal, JointOptions(), theta)
    together.minimise(lambda rows: prototype[rows], 6)
    for i in range(5):
        alone = JointProblem(signal[i : i + 1], JointOptions(), theta[i : i + 1])
        alone.minimise(lambda rows, i=i: prototype[i : i + 1], 6)
        torch.testing.assert_close(alone.theta[0], together.theta[i], atol=1e-3, rtol=1e-3)
    assert together.theta.abs().amax(1).min() > 0.1


def test_aligned_videos_are_read_at_the_warped_times_less_a_share_of_their_level():
    signal = warped_signals(3)[0].double()
    theta = 0.3 * torch.randn(3, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    aligned, cover = JointProblem(signal, JointOptions(offset_shrinkage=0.4), theta).aligned(theta)
    assert cover is None
    grid = np.linspace(0, 1, 128)
    times = cpab_warp(theta, torch.from_numpy(grid)).numpy()
    for i in range(3):
        for c in range(6):
            values = np.interp(times[i], grid, signal[i, :, c].numpy())
            np.testing.assert_allclose(aligned[i, :, c].numpy(), values - 0.4 * values.mean(), atol=1e-9)


@pytest.mark.parametrize("freedom", [0.0, 0.4, 1.0])
def test_an_offset_is_a_share_of_the_mean_where_the_video_is(freedom):
    generator = torch.Generator().manual_seed(3)
    signal, cover = torch.randn(2, 9, 3, generator=generator), torch.rand(2, 9, 1, generator=generator)
    torch.testing.assert_close(less_offset(signal, freedom), signal - freedom * signal.mean(1, keepdim=True))
    found = less_offset(signal, freedom, cover)
    for i in range(2):
        mean = np.average(signal[i].numpy(), axis=0, weights=cover[i, :, 0].numpy())
        np.testing.assert_allclose(found[i].numpy(), signal[i].numpy() - freedom * mean, atol=1e-6)


@pytest.mark.parametrize(("count", "size", "sizes"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (0, 3, [])])
def test_chunks_part_all_videos_in_order(count, size, sizes):
    found = [list(range(count))[rows] for rows in chunks(count, size)]
    assert [len(part) for part in found] == sizes
    assert list(itertools.chain(*found)) == list(range(count))
