"""The smoothness prior against difw, a slow loop of its formula, and samples."""

import numpy as np
import pytest
import torch
from scipy.linalg import null_space

from tpl_lightning.functional.warps.cpab import cpab_warp, knot_velocity, num_parameters, warp_time
from tpl_lightning.functional.warps.prior import cpa_covariance, prior_energy, sample_warps


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _affine_fields(theta, cells, zero_boundary):
    """Slope and intercept of each cell in turn (n, 2 K), one cell at a time."""
    knots = knot_velocity(theta, num_cells=cells, zero_boundary=zero_boundary)
    parts = []
    for c in range(cells):
        slope = (knots[:, c + 1] - knots[:, c]) * cells
        parts += [slope, knots[:, c] - slope * c / cells]
    return torch.stack(parts, 1)


@pytest.mark.parametrize("cells", [2, 5, 16])
@pytest.mark.parametrize("zero_boundary", [True, False])
def test_covariance_is_difws_in_our_coordinates(cells, zero_boundary):
    cpab = pytest.importorskip("difw.cpab").Cpab(cells, backend="numpy", basis="svd", zero_boundary=zero_boundary)
    expected = torch.as_tensor(cpab.covariance_cpa(length_scale=0.3, output_variance=1.5))
    ours = cpa_covariance(cells, length_scale=0.3, variance=1.5**2, zero_boundary=zero_boundary)
    # Columns of difw's basis are orthonormal, so they read difw's coordinates off an affine field.
    unit = torch.eye(num_parameters(cells, zero_boundary=zero_boundary), dtype=torch.float64)
    change = _affine_fields(unit, cells, zero_boundary) @ torch.as_tensor(cpab.params.B)
    torch.testing.assert_close(change.T @ ours @ change, expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("zero_boundary", [True, False])
def test_covariance_by_a_slow_loop_of_the_formula(zero_boundary):
    cells, length_scale, variance = 6, 0.4, 0.7
    kernel = np.zeros((2 * cells, 2 * cells))
    for c in range(cells):
        for d in range(cells):
            value = variance * np.exp(-abs((c - d) / cells) / (2 * length_scale**2))
            kernel[2 * c, 2 * d] = kernel[2 * c + 1, 2 * d + 1] = value
    # Continuous fields: a_c x + b_c = a_{c+1} x + b_{c+1} at every inner knot (Freifeld et al. 2017).
    rows = []
    for k in range(1, cells):
        row = np.zeros(2 * cells)
        row[2 * k - 2 : 2 * k + 2] = [k / cells, 1, -k / cells, -1]
        rows.append(row)
    if zero_boundary:
        rows += [np.eye(2 * cells)[1], np.eye(2 * cells)[-2] + np.eye(2 * cells)[-1]]
    space = null_space(np.array(rows))
    projected = space @ space.T @ kernel @ space @ space.T
    # theta_k is the velocity at knot k times K, read from the cell to its left (from its right for knot 0).
    knots = range(1, cells) if zero_boundary else range(cells + 1)
    read = np.zeros((len(knots), 2 * cells))
    for row, k in zip(read, knots, strict=True):
        cell = max(k - 1, 0)
        row[2 * cell : 2 * cell + 2] = [k, cells]
    found = cpa_covariance(cells, length_scale=length_scale, variance=variance, zero_boundary=zero_boundary)
    np.testing.assert_allclose(found.numpy(), read @ projected @ read.T, atol=1e-10)


@pytest.mark.parametrize("cells", [2, 16, 64])
@pytest.mark.parametrize("length_scale", [0.01, 0.5, 10.0])
@pytest.mark.parametrize("zero_boundary", [True, False])
def test_covariance_is_positive_definite(cells, length_scale, zero_boundary):
    covariance = cpa_covariance(cells, length_scale=length_scale, variance=2.0, zero_boundary=zero_boundary)
    assert torch.equal(covariance, covariance.T) or torch.allclose(covariance, covariance.T, rtol=1e-12)
    assert torch.linalg.eigvalsh(covariance).min() > 0
    theta = sample_warps(4, cells, length_scale=length_scale, variance=2.0, zero_boundary=zero_boundary)
    options = {"num_cells": cells, "length_scale": length_scale, "variance": 2.0, "zero_boundary": zero_boundary}
    expected = (theta.double() * torch.linalg.solve(covariance, theta.double().T).T).sum(1)
    torch.testing.assert_close(prior_energy(theta.double(), **options), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(prior_energy(theta, **options).double(), expected, rtol=1e-3, atol=1e-3)


def test_smoother_fields_cost_less():
    smooth = torch.sin(torch.pi * torch.arange(1, 16) / 16)
    rough = smooth * torch.tensor([1.0, -1.0]).repeat(8)[:15]
    energy = prior_energy(torch.stack([smooth, rough, 2 * smooth, 0 * smooth]))
    assert energy[1] > 10 * energy[0]
    torch.testing.assert_close(energy[2], 4 * energy[0])
    assert energy[3] == 0
    torch.testing.assert_close(prior_energy(smooth[None], variance=0.5), energy[:1] / 2)


@pytest.mark.parametrize("zero_boundary", [True, False])
def test_energy_by_finite_differences(zero_boundary):
    size = num_parameters(8, zero_boundary=zero_boundary)
    theta = torch.randn(3, size, dtype=torch.float64, generator=_generator(), requires_grad=True)

    def energy(theta):
        return prior_energy(theta, num_cells=8, zero_boundary=zero_boundary)

    assert torch.autograd.gradcheck(energy, theta)
    assert torch.autograd.gradgradcheck(energy, theta)


def test_energy_of_a_composition_is_the_sum():
    theta = sample_warps(5, [4, 8, 16], generator=_generator(), dtype=torch.float64)
    assert theta.shape == (5, 3, 15)
    assert (theta[:, 0, 3:] == 0).all()
    assert (theta[:, 1, 7:] == 0).all()
    expected = sum(prior_energy(theta[:, r, : k - 1], num_cells=k) for r, k in enumerate((4, 8, 16)))
    torch.testing.assert_close(prior_energy(theta, num_cells=[4, 8, 16]), expected)
    same = theta[:, 2:].expand(-1, 2, -1)
    torch.testing.assert_close(prior_energy(same), 2 * prior_energy(theta[:, 2]))


def test_energy_in_half_precision_is_that_of_float32():
    theta = sample_warps(4, generator=_generator()).bfloat16()
    expected = prior_energy(theta.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(prior_energy(theta), expected)
        assert torch.equal(prior_energy(theta.float()), expected)


@pytest.mark.parametrize("zero_boundary", [True, False])
def test_samples_have_the_covariance_of_the_prior(zero_boundary):
    options = {"length_scale": 0.3, "variance": 0.8, "zero_boundary": zero_boundary}
    theta = sample_warps(40_000, 8, generator=_generator(), dtype=torch.float64, **options)
    expected = cpa_covariance(8, **options)
    scale = expected.diagonal().sqrt()
    # Entries of 40 000 samples' correlation are off by 0.005 (one standard deviation), means too.
    assert ((torch.cov(theta.T) - expected) / scale / scale[:, None]).abs().max() < 0.03
    assert (theta.mean(0) / scale).abs().max() < 0.025
    energy = prior_energy(theta, num_cells=8, **options)  # chi-squared
    assert energy.mean().item() == pytest.approx(theta.shape[1], rel=0.02)
    assert energy.var().item() == pytest.approx(2 * theta.shape[1], rel=0.05)


def test_the_levels_of_a_composition_are_independent():
    theta = sample_warps(20_000, [4, 4], generator=_generator(), dtype=torch.float64)
    correlation = torch.corrcoef(theta.flatten(1).T)
    assert correlation[:3, 3:].abs().max() < 0.04
    assert correlation[0, 1] > 0.3


def test_samples_depend_on_the_generator_alone():
    found = sample_warps(3, generator=_generator(1))
    torch.manual_seed(5)
    assert torch.equal(sample_warps(3, generator=_generator(1)), found)
    assert not torch.equal(sample_warps(3, generator=_generator(2)), found)
    assert found.dtype == torch.float32
    double = sample_warps(3, generator=_generator(1), dtype=torch.float64)
    assert double.dtype == torch.float64
    assert torch.equal(double.float(), found)
    state = torch.get_rng_state()
    sample_warps(3, generator=_generator(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert sample_warps(3, device="meta").device.type == "meta"
    assert sample_warps(0).shape == (0, 15)


@pytest.mark.parametrize("cells", [2, 16, 64])
def test_samples_are_warps(cells):
    theta = sample_warps(64, cells, generator=_generator(), dtype=torch.float64)
    points = torch.linspace(0, 1, 301, dtype=torch.float64)
    warped = cpab_warp(theta, points, num_cells=cells)
    assert (warped[:, [0, -1]] == torch.tensor([0.0, 1.0])).all()
    assert (warped.diff(dim=1) > 0).all()
    torch.testing.assert_close(cpab_warp(-theta, warped, num_cells=cells), points.expand(64, -1), atol=1e-9, rtol=0)
    levels = sample_warps(64, [2, cells], generator=_generator(), dtype=torch.float64)
    assert (warp_time(levels, points, num_cells=[2, cells]).diff(dim=1) > 0).all()


def test_velocities_hardly_depend_on_the_number_of_cells():
    middle = [float(cpa_covariance(k)[k // 2 - 1, k // 2 - 1]) ** 0.5 / k for k in (8, 16, 32, 64)]
    assert max(middle) < 1.05 * min(middle)


def test_arguments_are_checked():
    for call in (cpa_covariance, lambda **k: prior_energy(torch.zeros(1, 15), **k), lambda **k: sample_warps(1, **k)):
        for wrong in ({"length_scale": 0.0}, {"length_scale": float("nan")}, {"variance": -1.0}):
            with pytest.raises(ValueError, match=f"Expected `{next(iter(wrong))}` > 0"):
                call(**wrong)
    with pytest.raises(ValueError, match="tells cells apart"):
        sample_warps(1, 64, length_scale=1e9)
    with pytest.raises(ValueError, match="num_cells"):
        cpa_covariance(1)
    for theta, cells in ((torch.zeros(2, 16), 16), (torch.zeros(15), 16), (torch.zeros(2, 2, 15), [4, 8, 16])):
        with pytest.raises(ValueError, match="Expected `theta` of shape"):
            prior_energy(theta, num_cells=cells)


@pytest.mark.parametrize("variance", [0.0, -1.0, float("inf"), float("nan")])
def test_a_variance_that_is_none_is_refused(variance):
    theta = torch.zeros(2, 15)
    with pytest.raises(ValueError, match=f"`variance` > 0, but got {variance}"):
        cpa_covariance(16, length_scale=0.3, variance=variance)
    with pytest.raises(ValueError, match="`variance` > 0"):
        prior_energy(theta, length_scale=0.3, variance=variance)


def test_by_default_the_prior_is_that_of_16_cells_with_ends_that_stay():
    expected = cpa_covariance(16, length_scale=0.5, variance=0.25, zero_boundary=True)
    assert expected.shape == (15, 15)
    torch.testing.assert_close(cpa_covariance(), expected, rtol=0, atol=0)
    theta = torch.randn(3, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    energy = torch.einsum("bi,ij,bj->b", theta, torch.linalg.inv(expected), theta)
    torch.testing.assert_close(prior_energy(theta), energy, rtol=1e-6, atol=0)
    assert sample_warps(2).shape == (2, 15)
