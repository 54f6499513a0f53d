"""Smoothing against whole matrices and SciPy, sampling against NumPy."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from tests.tolerances import TOLERANCES
from tpl_lightning.functional.smoothing import gaussian_smoother, sample_each, sample_rows, smoothed, time_slope


@pytest.mark.parametrize(("points", "size", "sigma"), [(192, 160, 0.0125), (192, 80, 0.025), (99, 99, 0.1), (5, 3, 2)])
def test_smoothing_in_blocks_equals_the_whole_product(points, size, sigma):
    signal = torch.randn(3, points, 4, generator=torch.Generator().manual_seed(0))
    weight = gaussian_smoother(sigma, points, size, like=signal)
    torch.testing.assert_close(smoothed(signal, sigma, size), weight @ signal)
    slope = (torch.gradient(weight, dim=0)[0] * (size - 1)) @ signal
    torch.testing.assert_close(smoothed(signal, sigma, size, slope=True), slope, atol=1e-4, rtol=1e-4)


def test_smoothing_is_that_of_scipy_away_from_the_ends():
    signal = torch.randn(1, 201, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = gaussian_filter1d(signal[0].numpy(), 4, axis=0, truncate=6)
    np.testing.assert_allclose(smoothed(signal, 4 / 200, 201)[0, 30:-30].numpy(), expected[30:-30], atol=1e-7)


def test_samples_are_those_of_numpy_and_ends_are_held():
    signal = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    times = torch.tensor([[-0.5, 0.0, 0.31, 1.0, 1.5], [0.05, 0.5, 0.51, 0.99, 1.0]], dtype=torch.float64)
    found = sample_rows(signal, times)
    for i in range(2):
        for c in range(3):
            expected = np.interp(times[i].numpy(), np.linspace(0, 1, 9), signal[i, :, c].numpy())
            np.testing.assert_allclose(found[i, :, c].numpy(), expected, atol=1e-12)
    assert sample_rows(signal[:0], times[:0]).shape == (0, 5, 3)


def test_samples_of_several_are_those_of_each():
    generator = torch.Generator().manual_seed(3)
    one, other = torch.randn(2, 4, 11, 3, generator=generator).unbind()
    times = torch.rand(4, 7, generator=generator)
    for found, signal in zip(sample_each([one, other], times), (one, other), strict=True):
        assert torch.equal(found, sample_rows(signal, times))


@pytest.mark.parametrize("size", [2, 3, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slopes_by_time_are_those_of_torch(size, dtype):
    signal = torch.randn(3, size, 4, generator=torch.Generator().manual_seed(4), dtype=dtype)
    torch.testing.assert_close(time_slope(signal), torch.gradient(signal, dim=1)[0] * (size - 1))


OPS = {
    "smoothed": lambda signal, times: smoothed(signal, 0.05, 9),
    "slope": lambda signal, times: smoothed(signal, 0.05, 9, slope=True) / 9,
    "sample_rows": sample_rows,
    "sample_each": lambda signal, times: torch.cat(sample_each([signal, 2 * signal], times)) / 2,
    "time_slope": lambda signal, times: time_slope(signal) / 9,
}


def _signal_and_times(count=2):
    """Times between the samples, where linear interpolation has no kinks."""
    generator = torch.Generator().manual_seed(5)
    signal = torch.randn(count, 9, 3, generator=generator, dtype=torch.float64)
    times = (torch.arange(5) + 0.2 + 0.6 * torch.rand(count, 5, generator=generator)).double() / 8
    return signal, times


@pytest.mark.parametrize("name", ["smoothed", "slope", "sample_rows", "sample_each"])
def test_gradients_equal_finite_differences(name):
    signal, times = _signal_and_times()
    inputs = (signal.requires_grad_(), times.requires_grad_("sample" in name))  # others look at no times
    assert torch.autograd.gradcheck(OPS[name], inputs)


@pytest.mark.parametrize("name", ["smoothed", "slope", "sample_rows", "time_slope"])
def test_a_video_alone_comes_out_as_among_others(name):
    signal, times = _signal_and_times(4)
    together = OPS[name](signal, times)
    for i in range(4):
        alone = OPS[name](signal[i : i + 1], times[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], **TOLERANCES[torch.float64])


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_lower_precision_is_near_double(name, dtype):
    inputs = [x.to(dtype) for x in _signal_and_times()]
    found = OPS[name](*inputs)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), OPS[name](*(x.double() for x in inputs)), **TOLERANCES[dtype])
