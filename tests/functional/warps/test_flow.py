"""The pieces of the flow against integrals and finite differences, and what its gradient costs."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from tests.functional.warps.fields import theta_of_speed
from tpl_lightning.functional.warps.cpab import cpab_warp, cpab_warp_jacobian
from tpl_lightning.functional.warps.flow import (
    CPABFlow,
    knots_in_cells,
    make_field,
    sensitivities,
    trace,
    trajectory_jacobian,
)
from tpl_lightning.functional.warps.tessellation import velocity_basis

BARRIER = 2.0  # what counts for a cell that is never crossed


def _velocities(cells=6, batch=3, size=1.5, seed=0):
    """Knot velocities (B, K + 1) in cells per unit of time, of both signs, 0 at the ends."""
    return knots_in_cells(theta_of_speed(cells, size / cells, batch=batch, seed=seed), zero_boundary=True)


def test_the_time_to_cross_a_cell_is_the_integral_of_one_over_the_velocity():
    velocity = torch.tensor([[1.0, 3.0, 3.0, 0.8, -0.5, -2.0, -1.5]], dtype=torch.float64)
    field = make_field(velocity)
    expected = []
    for left, right in zip(velocity[0].tolist(), velocity[0].tolist()[1:], strict=False):
        crossed = left * right > 0
        expected.append(quad(lambda y, a=left, b=right: 1 / abs(a + (b - a) * y), 0, 1)[0] if crossed else BARRIER)
    np.testing.assert_allclose(field.time[0].numpy(), np.minimum(expected, BARRIER), rtol=1e-9)
    torch.testing.assert_close(field.elapsed[0, 1:], field.time[0].cumsum(0))
    torch.testing.assert_close(field.slope, velocity.diff(dim=1))
    assert field.elapsed[0, 0] == 0


def test_a_point_knows_the_cells_that_it_comes_through():
    """At a velocity of 2.5 cells everywhere it goes that far; in a field of 0 it stays."""
    velocity = torch.tensor([[2.5] * 7, [-2.5] * 7, [0.0] * 7], dtype=torch.float64)
    points = torch.tensor([3.25], dtype=torch.float64)
    path = trace(make_field(velocity), points, zero_boundary=False)
    torch.testing.assert_close(path.end[:, 0], torch.tensor([5.75, 0.75, 3.25], dtype=torch.float64))
    assert path.leaves[:, 0].tolist() == [True, True, False]
    assert path.first[:, 0].tolist() == [3, 3, 3]
    assert path.border[:2, 0].tolist() == [4, 3]
    assert path.entry[:2, 0].tolist() == [5, 1]
    assert path.last[:, 0].tolist() == [5, 0, 3]
    torch.testing.assert_close(path.end_velocity()[:, 0], velocity[:, 0])
    torch.testing.assert_close(path.slope()[:, 0], torch.ones(3, dtype=torch.float64))


def test_the_slope_of_a_path_is_that_of_differences_and_velocities_are_those_of_the_field():
    velocity, points = _velocities(), torch.linspace(0.03, 5.96, 41, dtype=torch.float64)
    field = make_field(velocity)
    path = trace(field, points, zero_boundary=True)
    ahead, behind = (trace(field, points + step, zero_boundary=True).end for step in (1e-6, -1e-6))
    torch.testing.assert_close(path.slope(), (ahead - behind) / 2e-6, atol=1e-5, rtol=1e-5)
    for row in range(3):
        at_end = np.interp(path.end[row].numpy(), np.arange(7), velocity[row].numpy())
        np.testing.assert_allclose(path.end_velocity()[row].numpy(), at_end, atol=1e-9)


def test_the_jacobian_is_that_of_differences_of_knot_velocities():
    velocity, points = _velocities(size=3.0), torch.linspace(0.1, 5.9, 23, dtype=torch.float64)
    field = make_field(velocity)
    jacobian = trajectory_jacobian(field, trace(field, points, zero_boundary=True), torch.float64)
    assert jacobian.shape == (3, 23, 7)
    for k in range(1, 6):  # the ends stay
        step = torch.zeros_like(velocity)
        step[:, k] = 1e-6
        ahead, behind = (trace(make_field(velocity + s * step), points, zero_boundary=True).end for s in (1, -1))
        torch.testing.assert_close(jacobian[..., k], (ahead - behind) / 2e-6, atol=1e-5, rtol=1e-5)


def test_what_does_not_leave_its_cell_feels_no_border():
    field = make_field(_velocities(size=0.2))
    path = trace(field, torch.full((1,), 2.5, dtype=torch.float64), zero_boundary=True)
    ends = sensitivities(path)
    assert not path.leaves.any()
    for part in (ends.first_uniform, ends.first_right, ends.carry):
        assert (part == 0).all()
    assert (ends.last_uniform > 0).all()


@pytest.mark.parametrize("zero_boundary", [True, False])
def test_the_flow_counts_in_the_coordinates_of_the_basis(zero_boundary):
    theta = theta_of_speed(16, 1.0, zero_boundary)
    basis = velocity_basis(16, zero_boundary=zero_boundary)
    torch.testing.assert_close(knots_in_cells(theta, zero_boundary), theta @ basis * 16, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [0.0, 1e-30, 0.01, 0.5, 3.0, 1e3])
@pytest.mark.parametrize("zero_boundary", [True, False])
def test_devices_without_float64_get_a_sound_warp(size, zero_boundary):
    size = size if zero_boundary else min(size, 0.3)
    theta = theta_of_speed(16, size, zero_boundary).float().requires_grad_()
    points = torch.linspace(0, 1, 101).requires_grad_()
    results = []
    for working in (torch.float32, torch.float64):
        warped = CPABFlow.apply(theta, points, zero_boundary, working, torch.float32)
        results.append((warped, *torch.autograd.grad(warped.mean(), (theta, points))))
    assert all(torch.isfinite(part).all() for part in results[0])
    if size <= 3:
        torch.testing.assert_close(*results, atol=1e-4, rtol=1e-3)


def test_second_derivative_is_refused():
    theta = theta_of_speed(16, 0.5).requires_grad_()
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(cpab_warp(theta, torch.rand(5).double()).sum(), theta, create_graph=True)


def test_memory_of_the_backward_pass_is_a_few_numbers_per_point():
    def saved(cells):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.nbytes) or t, lambda t: t):
            cpab_warp(torch.randn(50, cells - 1, requires_grad=True), torch.rand(50, 400), num_cells=cells)
        return sum(sizes) / (8 * 50 * 400)

    assert saved(16) < 16
    assert saved(64) < saved(16) + 1  # not a number per cell crossed


@pytest.mark.parametrize("slope", [0.5, 1e-3, 1e-5, 1e-8, -1e-5, -0.3])
def test_derivatives_within_a_cell_are_exact_for_slopes_of_any_size(slope):
    """In a cell dx/dt = a x + b, so T(x) = x + (a x + b) (e^a - 1) / a; derivatives by its series in a."""
    start, share = 0.4, 0.2
    theta = torch.tensor([[start, start + slope, 0.0]], dtype=torch.float64)
    points = torch.tensor([share / 2], dtype=torch.float64)
    warped, _, jacobian = cpab_warp_jacobian(theta, points, num_cells=2, zero_boundary=False)
    phi = sum(slope**n / math.factorial(n + 1) for n in range(20))
    phi_slope = sum(n * slope ** (n - 1) / math.factorial(n + 1) for n in range(1, 20))
    velocity = start + slope * share
    assert float(warped) == pytest.approx((share + velocity * phi) / 2, abs=1e-14)
    by_right = share * phi + velocity * phi_slope
    by_left = (1 - share) * phi - velocity * phi_slope
    torch.testing.assert_close(2 * jacobian[0, 0], jacobian.new_tensor([by_left, by_right, 0.0]), rtol=0, atol=1e-9)


@pytest.mark.parametrize("slope", [0.3, 1e-3, 1e-5, -1e-5, -0.2])
def test_derivatives_across_cells_are_exact_for_slopes_of_any_size(slope):
    theta = 2.5 + slope * torch.arange(7, dtype=torch.float64).unsqueeze(0)  # two to four cells in a unit of time
    points = torch.tensor([0.02, 0.1, 0.21, 0.33], dtype=torch.float64)
    options = {"num_cells": 6, "zero_boundary": False}
    _, _, jacobian = cpab_warp_jacobian(theta, points, **options)
    for k in range(7):
        step = torch.zeros_like(theta)
        step[0, k] = 1e-4
        ahead, behind = (cpab_warp(theta + s * step, points, **options) for s in (1, -1))
        torch.testing.assert_close(jacobian[..., k], (ahead - behind) / 2e-4, rtol=0, atol=2e-8)
