"""Sampling of a signal at fewer points than it has frames, against integrals of its linear interpolant."""

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid

from tpl_lightning.functional.resampling import resample_to_size


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
