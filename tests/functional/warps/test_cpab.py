"""The CPAB flow against scipy's ODE solver, finite differences and its own properties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from tests.functional.warps.fields import theta_of_speed
from tpl_lightning.functional.warps.cpab import (
    cell_slopes,
    cpab_warp,
    cpab_warp_and_slope,
    cpab_warp_jacobian,
    knot_velocity,
    warp_time,
)


def _ode(velocity, points):
    """Follow each point with scipy, restarting at every knot so that the right side is smooth within a step."""
    velocity = np.asarray(velocity, dtype=np.float64)
    cells = len(velocity) - 1
    results = []
    for start in np.atleast_1d(points):
        x, time, direction = float(start), 0.0, np.sign(np.interp(start, np.linspace(0, 1, cells + 1), velocity))
        if direction == 0:
            results.append(x)
            continue
        knot = round(x * cells)
        if abs(x * cells - knot) < 1e-12:  # on a border: the event below needs a start away from it
            cell = min(max(knot - (direction < 0), 0), cells - 1)
        else:
            cell = min(int(x * cells), cells - 1)
        while time < 1.0:
            slope = (velocity[cell + 1] - velocity[cell]) * cells
            origin, offset = cell / cells, velocity[cell]
            ahead = (cell + (direction > 0)) / cells
            outer = ahead <= 0 or ahead >= 1

            def leave(_, y, ahead=ahead, outer=outer):
                return 1.0 if outer else y[0] - ahead

            leave.terminal = True
            done = solve_ivp(
                lambda _, y, s=slope, o=origin, b=offset: s * (y - o) + b,
                (time, 1.0),
                [x],
                method="DOP853",
                rtol=1e-13,
                atol=1e-14,
                events=leave,
            )
            x, time = float(done.y[0, -1]), float(done.t[-1])
            if done.status != 1:
                break
            x, cell = ahead, cell + (1 if direction > 0 else -1)
        results.append(x)
    return np.array(results)


def _points(cells, count=9):
    return torch.cat(
        [torch.linspace(0, 1, count, dtype=torch.float64), torch.arange(cells + 1, dtype=torch.float64) / cells]
    ).unique()


@pytest.mark.parametrize("cells", [2, 3, 5, 16, 49, 64])
@pytest.mark.parametrize("zero_boundary", [True, False])
@pytest.mark.parametrize("size", [0.05, 0.6, 4.0, 20.0])
def test_matches_an_ode_solver(cells, zero_boundary, size):
    if not zero_boundary and size > 1.0:
        size = 4.0 / cells  # beyond the ends the field grows without bound
    theta = theta_of_speed(cells, size, zero_boundary, batch=2, seed=cells)
    points = _points(min(cells, 8), 7)
    velocity = knot_velocity(theta, num_cells=cells, zero_boundary=zero_boundary)
    expected = np.stack([_ode(v, points.numpy()) for v in velocity.numpy()])
    found = cpab_warp(theta, points, num_cells=cells, zero_boundary=zero_boundary)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-10, rtol=1e-10)
    rounded = theta.float(), points.float()
    velocity = knot_velocity(rounded[0].double(), num_cells=cells, zero_boundary=zero_boundary)
    expected = np.stack([_ode(v, rounded[1].double().numpy()) for v in velocity.numpy()])
    found = cpab_warp(*rounded, num_cells=cells, zero_boundary=zero_boundary)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "velocity",
    [
        [0.0, 0.3, 0.3, 0.3, 0.0],  # slope exactly 0 in two cells
        [0.0, 0.3, 0.3 + 1e-13, 0.3 - 1e-9, 0.0],  # nearly 0
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.5, 0.0, 0.5, 0.0],  # a zero on a knot
        [0.0, 0.5, -0.5, 0.5, 0.0],  # zeros inside cells
        [0.0, 1e-12, 1.0, 1e-12, 0.0],
        [0.0, 20.0, -20.0, 20.0, 0.0],
        [0.0, -20.0, -20.0, -20.0, 0.0],
    ],
)
def test_special_fields_match_an_ode_solver(velocity):
    theta = torch.tensor([velocity[1:-1]], dtype=torch.float64) * 4
    points = _points(4, 11)
    found = cpab_warp(theta, points, num_cells=4)[0].numpy()
    np.testing.assert_allclose(found, _ode(velocity, points.numpy()), atol=1e-10)


@pytest.mark.parametrize("cells", [2, 16, 64])
@pytest.mark.parametrize(("slope", "origin"), [(20.0, 0.0), (-20.0, 1.0), (20.0, 0.4), (1e-9, 2e10), (-3.0, -2.0)])
def test_free_ends_follow_an_affine_field_at_any_speed(cells, slope, origin):
    """v(x) = slope (x - origin), up to +-20 in [0, 1], is in the space, and T(x) = origin + (x - origin) e^slope."""
    knots = torch.arange(cells + 1, dtype=torch.float64) / cells
    theta = slope * (knots - origin)[None] * cells
    points = torch.cat([knots, torch.tensor([-0.3, 0.01, 0.77, 1.2], dtype=torch.float64)])
    found = cpab_warp(theta, points, num_cells=cells, zero_boundary=False)[0]
    expected = points + (points - origin) * np.expm1(slope)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    back = cpab_warp(-theta, found[None], num_cells=cells, zero_boundary=False)[0]
    # What has been pressed together by e^-20 comes back with as many digits fewer.
    torch.testing.assert_close(back, points, rtol=0, atol=1e-14 * np.exp(abs(slope)) + 1e-10)


@pytest.mark.parametrize("cells", [2, 5, 16])
@pytest.mark.parametrize("zero_boundary", [True, False])
@pytest.mark.parametrize("size", [0.02, 0.5, 3.0])
def test_gradients_by_finite_differences(cells, zero_boundary, size):
    if not zero_boundary:
        size = min(size, 0.5)
    theta = theta_of_speed(cells, size, zero_boundary, batch=3).requires_grad_()
    shared = torch.rand(7, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 0.98 + 0.01
    own = torch.rand(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 0.98 + 0.01
    for points in (shared, own):
        assert torch.autograd.gradcheck(
            lambda t, x: cpab_warp(t, x, num_cells=cells, zero_boundary=zero_boundary),
            (theta, points.requires_grad_()),
            eps=1e-7,
            atol=1e-5,
            rtol=1e-4,
        )


def test_gradient_at_knots_and_at_theta_zero():
    """The flow is once differentiable in theta and x at the knots too, and at fields that vanish there."""
    points = torch.arange(5, dtype=torch.float64) / 4
    for theta in (torch.zeros(1, 3), torch.tensor([[1.0, 0.5, 2.0]]), torch.tensor([[1.2, 1.2, 1.2]])):
        theta = theta.double()
        _, _, jacobian = cpab_warp_jacobian(theta, points, num_cells=4)
        for k in range(3):
            step = torch.zeros(1, 3, dtype=torch.float64)
            step[0, k] = 1e-6
            slope = (cpab_warp(theta + step, points, num_cells=4) - cpab_warp(theta - step, points, num_cells=4)) / 2e-6
            torch.testing.assert_close(jacobian[..., k], slope, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("size", [0.1, 2.0, 20.0])
@pytest.mark.parametrize("zero_boundary", [True, False])
def test_jacobian_equals_the_pulled_back_gradient(size, zero_boundary):
    size = size if zero_boundary else min(size, 0.4)
    theta = theta_of_speed(16, size, zero_boundary).requires_grad_()
    points = torch.rand(4, 33, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weight = torch.randn(4, 33, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    end, slope, jacobian = cpab_warp_jacobian(theta, points, zero_boundary=zero_boundary)
    warped = cpab_warp(theta, points, zero_boundary=zero_boundary)
    torch.testing.assert_close(end, warped)
    grads = torch.autograd.grad((warped * weight).sum(), (theta, points))
    torch.testing.assert_close(grads[0], torch.einsum("bpd,bp->bd", jacobian, weight))
    torch.testing.assert_close(grads[1], slope * weight)


def test_slope_is_the_spatial_derivative():
    theta = theta_of_speed(16, 1.0)
    points = torch.linspace(0.003, 0.994, 77, dtype=torch.float64)
    _, slope = cpab_warp_and_slope(theta, points)
    difference = (cpab_warp(theta, points + 1e-7) - cpab_warp(theta, points - 1e-7)) / 2e-7
    torch.testing.assert_close(slope, difference, atol=1e-5, rtol=1e-5)
    assert not slope.requires_grad
    # At a zero of the field the point stays, and times around it are stretched by e^a.
    theta = torch.tensor([[1.0, -1.0, 1.0]], dtype=torch.float64)
    warped, slope = cpab_warp_and_slope(theta, torch.tensor([0.0, 0.375, 0.625, 1.0], dtype=torch.float64), num_cells=4)
    torch.testing.assert_close(warped, torch.tensor([[0.0, 0.375, 0.625, 1.0]], dtype=torch.float64))
    torch.testing.assert_close(slope, torch.tensor([[1.0, -2.0, 2.0, -1.0]], dtype=torch.float64).exp())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), cells=st.integers(2, 64), size=st.floats(0, 1.5))
def test_properties_of_random_warps(seed, cells, size):
    theta = theta_of_speed(cells, size, seed=seed).float()
    points = torch.rand(50, generator=torch.Generator().manual_seed(seed)).sort().values
    warped, slope = cpab_warp_and_slope(theta, points, num_cells=cells)
    assert torch.isfinite(warped).all()
    assert warped.min() >= 0
    assert warped.max() <= 1
    assert (warped.diff(dim=1) >= -1e-15).all()
    ends = cpab_warp(theta, torch.tensor([0.0, 1.0]), num_cells=cells)
    assert torch.equal(ends, torch.tensor([[0.0, 1.0]]).expand(4, 2))
    # Where the warp squeezes times together they can no longer be told apart, and no inverse brings them back.
    back = cpab_warp(-theta, warped, num_cells=cells)
    assert ((back - points).abs() <= 1e-5)[slope > 0.02].all()
    theta, points = theta.double(), points.double()
    warped, slope = cpab_warp_and_slope(theta, points, num_cells=cells)
    back = cpab_warp(-theta, warped, num_cells=cells)
    assert ((back - points).abs() <= 1e-10)[slope > 1e-4].all()


def test_identity_at_zero_is_exact():
    points = torch.rand(100)
    assert torch.equal(cpab_warp(torch.zeros(2, 15), points), points.expand(2, 100))


@pytest.mark.parametrize("zero_boundary", [True, False])
def test_points_that_arrive_at_a_knot(zero_boundary):
    """A point sent back to the knot it came from has no time left there, or a rounding error of it."""
    theta = theta_of_speed(16, 0.08, zero_boundary, batch=400)
    knots = torch.arange(17, dtype=torch.float64) / 16
    for sign in (1, -1):
        warped = cpab_warp(sign * theta, knots, zero_boundary=zero_boundary)
        back = cpab_warp(-sign * theta, warped, zero_boundary=zero_boundary)
        torch.testing.assert_close(back, knots.expand(400, -1), atol=1e-9, rtol=0)
    # One unit of time from one knot exactly to the next, either way, into a cell that is crossed slowly or never.
    for sign, start in ((1.0, 0.25), (-1.0, 0.75)):
        for slow in (1.0, 0.01, 0.0, -1.0):
            theta = sign * torch.tensor([[1.0, 1.0, slow] if sign > 0 else [slow, 1.0, 1.0]], dtype=torch.float64)
            points = torch.tensor([start - 1e-13, start, start + 1e-13], dtype=torch.float64)
            warped, slope = cpab_warp_and_slope(theta, points, num_cells=4)
            torch.testing.assert_close(warped, torch.full_like(warped, 0.5), atol=1e-12, rtol=0)
            torch.testing.assert_close(slope, torch.ones_like(slope), atol=1e-10, rtol=0)


def test_strictly_increasing_on_a_grid():
    warped = cpab_warp(theta_of_speed(16, 0.5, batch=32), torch.linspace(0, 1, 1001, dtype=torch.float64))
    assert (warped.diff(dim=1) > 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-8, 50.0, 1e3, 1e6, 1e12])
def test_never_nan_at_any_size(size, dtype):
    for theta in (theta_of_speed(16, size, batch=16).to(dtype), torch.full((1, 15), 16 * size, dtype=dtype)):
        theta.requires_grad_()
        points = torch.linspace(0, 1, 257, dtype=dtype).requires_grad_()
        warped = cpab_warp(theta, points)
        assert torch.isfinite(warped).all()
        assert warped.min() >= 0
        assert warped.max() <= 1
        assert (warped.diff(dim=1) >= -1e-12).all()
        grads = torch.autograd.grad(warped.sum(), (theta, points))
        assert all(not torch.isnan(g).any() for g in grads)


def test_no_video_changes_another():
    theta, points = theta_of_speed(16, 1.0, batch=8).float(), torch.rand(8, 40)
    together = cpab_warp(theta, points)
    for i in range(8):
        assert torch.equal(cpab_warp(theta[i : i + 1], points[i : i + 1])[0], together[i])
        assert torch.equal(cpab_warp(theta[i : i + 1], points[i, :7])[0], together[i, :7])


def test_composition_and_its_inverse():
    theta = torch.stack([theta_of_speed(16, s, seed=s_) for s, s_ in ((0.3, 1), (0.2, 2), (0.1, 3))], 1)
    points = torch.rand(4, 30, dtype=torch.float64)
    expected = points
    for r in (2, 1, 0):
        expected = cpab_warp(theta[:, r], expected)
    composed = warp_time(theta, points)
    assert torch.equal(composed, expected)
    torch.testing.assert_close(warp_time(theta, composed, inverse=True), points, atol=1e-10, rtol=0)


def test_half_precision_and_autocast_compute_in_float32():
    theta, points = theta_of_speed(16, 0.5).float(), torch.rand(20)
    expected = cpab_warp(theta, points)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(cpab_warp(theta, points), expected)
    assert cpab_warp(theta.bfloat16(), points).dtype == torch.float32


def test_nothing_waits_for_the_device():
    """Tensors without data cannot be looked at, so whatever runs on them never waits for a result."""
    theta, points = torch.randn(3, 15, device="meta", requires_grad=True), torch.rand(3, 20, device="meta")
    warped = cpab_warp(theta, points.requires_grad_())
    assert warped.shape == (3, 20)
    assert [g.shape for g in torch.autograd.grad(warped.sum(), (theta, points))] == [theta.shape, points.shape]


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiles_as_one_graph(backend):
    theta, points = theta_of_speed(16, 0.5).float().requires_grad_(), torch.rand(20).requires_grad_()
    compiled = torch.compile(lambda t, x: cpab_warp(t, x).square().sum(), backend=backend, fullgraph=True)
    found = torch.autograd.grad(compiled(theta, points), (theta, points))
    expected = torch.autograd.grad(cpab_warp(theta, points).square().sum(), (theta, points))
    torch.testing.assert_close(found, expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_graph_replays_forward_and_backward():
    theta, points = theta_of_speed(16, 0.5).float().cuda().requires_grad_(), torch.rand(4, 50).cuda()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):  # warm up, as capturing requires
        torch.autograd.grad(cpab_warp(theta, points).sum(), theta)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        warped = cpab_warp(theta, points)
        grad = torch.autograd.grad(warped.square().sum(), theta)[0]
    with torch.no_grad():
        theta.mul_(-0.5)
    graph.replay()
    expected = cpab_warp(theta, points)
    torch.testing.assert_close(warped, expected)
    torch.testing.assert_close(grad, torch.autograd.grad(expected.square().sum(), theta)[0], atol=1e-5, rtol=1e-4)
    on_cpu = cpab_warp(theta.detach().cpu(), points.cpu())
    torch.testing.assert_close(warped.cpu(), on_cpu, atol=1e-6, rtol=1e-6)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="theta"):
        cpab_warp(torch.zeros(2, 16), torch.rand(5))
    with pytest.raises(ValueError, match="points"):
        cpab_warp(torch.zeros(2, 15), torch.rand(3, 5))
    with pytest.raises(ValueError, match="hold 2 warps"):
        warp_time(torch.zeros(2, 3, 7), torch.rand(5), num_cells=[4, 8])


def test_cell_slopes_are_the_derivative_of_the_field():
    theta = theta_of_speed(8, 1.0)
    velocity = knot_velocity(theta, num_cells=8)
    expected = torch.stack([(velocity[:, c + 1] - velocity[:, c]) * 8 for c in range(8)], 1)
    torch.testing.assert_close(cell_slopes(theta, num_cells=8), expected)
