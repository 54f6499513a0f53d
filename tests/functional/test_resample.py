"""Sampling of a signal at fewer points than it has frames, against integrals of its linear interpolant."""

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid

from tpl_lightning.functional.resample import resample_to_size


@pytest.mark.parametrize(("frames", "size"), [(5, 9), (9, 9), (10, 9), (600, 192), (50, 7)])
def test_to_size_averages_the_linear_interpolant_around_each_point(frames, size):
    signal = torch.randn(frames, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(frames))
    found = resample_to_size(signal, size)
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
