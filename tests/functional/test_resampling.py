"""Sampling against NumPy, and at fewer points than frames against integrals of the linear interpolant."""

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid

from tests.tolerances import TOLERANCES
from tpl_lightning.functional.resampling import resample, resample_nearest, resample_to_size


@pytest.mark.parametrize(("frames", "size"), [(5, 9), (9, 9), (10, 9), (600, 192), (50, 7)])
def test_to_size_averages_the_linear_interpolant_around_each_point(frames, size):
    signal = torch.randn(frames, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(frames))
    found = resample_to_size(signal, torch.tensor([frames]), size)[0]
    step = (frames - 1) / (size - 1)
    for j, x in enumerate(np.arange(size) * step):
        for channel in range(2):
            values = signal[:, channel].numpy()
            expected = np.interp(x, np.arange(frames), values)
            if frames > size:
                low, high = max(x - step / 2, 0), min(x + step / 2, frames - 1)
                kinks = np.r_[low, np.arange(np.ceil(low), high), high]
                expected = trapezoid(np.interp(kinks, np.arange(frames), values), kinks) / (high - low)
            assert found[j, channel] == pytest.approx(expected, abs=1e-9)


def test_a_signal_is_sampled_to_size_among_others_as_alone():
    lengths = torch.tensor([30, 1, 7, 600, 2, 9, 10])
    parts = [torch.randn(n, 3, generator=torch.Generator().manual_seed(n)) for n in lengths.tolist()]
    together = resample_to_size(torch.cat(parts), lengths, 9)
    assert together.shape == (7, 9, 3)
    for part, length, found in zip(parts, lengths, together, strict=True):
        torch.testing.assert_close(found, resample_to_size(part, length[None], 9)[0], rtol=0, atol=1e-6)
        assert float(found[0, 0]) == pytest.approx(float(part[0, 0])) or length > 9  # ends are kept, or averaged


def _videos(dtype=torch.float64):
    """Signals of 1, 2 and 6 frames whose padding is not a number."""
    lengths = torch.tensor([1, 2, 6])
    signal = torch.randn(3, 6, 2, dtype=dtype, generator=torch.Generator().manual_seed(0))
    signal[0, 1:] = signal[1, 2:] = torch.nan
    times = torch.tensor([-0.4, 0.0, 0.1, 0.37, 0.5, 0.6, 0.99, 1.0, 1.3], dtype=dtype).expand(3, -1)
    return signal, times, lengths


def test_samples_are_those_of_numpy_whatever_the_padding():
    signal, times, lengths = _videos()
    found = resample(signal, times, lengths)
    assert found.dtype == torch.float64
    for i, length in enumerate(lengths.tolist()):
        for channel in range(2):
            known = signal[i, :length, channel].numpy()
            expected = np.interp(times[i].numpy() * (length - 1), np.arange(length), known)
            np.testing.assert_allclose(found[i, :, channel].numpy(), expected, atol=1e-12)


def test_gradients_reach_frames_and_times_but_no_padding():
    signal, times, lengths = _videos()
    signal = signal.nan_to_num(7.0).requires_grad_()
    inside = times.new_tensor([0.13, 0.37, 0.52, 0.63, 0.97]).repeat(3, 1).requires_grad_()  # between frames
    assert torch.autograd.gradcheck(lambda s, t: resample(s, t, lengths), (signal, inside))
    resample(signal, inside, lengths).square().sum().backward()
    assert (signal.grad[0, 1:] == 0).all()
    assert (signal.grad[1, 2:] == 0).all()
    assert (inside.grad[0] == 0).all()  # of a single frame
    slope = (signal[1, 1] - signal[1, 0]).detach()
    found = resample(signal, inside, lengths)[1].detach()
    torch.testing.assert_close(inside.grad[1], (2 * found * slope).sum(-1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_sampled_in_single(dtype):
    signal = torch.tensor([[[0.0], [2.0], [4.0]]], dtype=dtype)
    found = resample(signal, torch.tensor([[0.3, 1.0]]), torch.tensor([3]))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.flatten(), torch.tensor([1.2, 4.0]))


@pytest.mark.parametrize(("signal", "times"), [((3, 4), (3, 2)), ((3, 4, 2), (3,)), ((3, 4, 2), (2, 5))])
def test_shapes_that_do_not_fit_are_refused(signal, times):
    with pytest.raises((ValueError, TypeError), match="times"):  # TypeError: where shapes are checked
        resample(torch.zeros(signal), torch.zeros(times), torch.ones(3, dtype=torch.int64))


def test_the_nearest_frame_is_read_and_of_two_the_even_one():
    lengths = torch.tensor([1, 2, 5])
    values = torch.tensor([[10, -1, -1, -1, -1], [20, 21, -1, -1, -1], [30, 31, 32, 33, 34]])
    times = torch.tensor([[-1.0, 0.0, 0.12, 0.125, 0.13, 0.37, 0.375, 0.38, 0.5, 0.625, 1.0, 3.0]]).expand(3, -1)
    assert resample_nearest(values, times, lengths).tolist() == [
        [10] * 12,
        [20, 20, 20, 20, 20, 20, 20, 20, 20, 21, 21, 21],
        [30, 30, 30, 30, 31, 31, 32, 32, 32, 32, 34, 34],
    ]
    assert resample_nearest(values.bool(), times, lengths).dtype == torch.bool


@pytest.mark.parametrize("size", [4, 9])
def test_gradients_of_sampling_to_size_equal_finite_differences(size):
    lengths = torch.tensor([6, 1, 7])
    signal = torch.randn(14, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: resample_to_size(s, lengths, size), (signal,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_sampling_to_size_in_lower_precision_is_near_double(dtype):
    signal = torch.randn(49, 3, generator=torch.Generator().manual_seed(2)).to(dtype)
    lengths = torch.tensor([40, 9])
    found, expected = (resample_to_size(x, lengths, 12) for x in (signal, signal.double()))
    torch.testing.assert_close(found.double(), expected, **TOLERANCES[dtype])
