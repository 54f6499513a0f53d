"""The words of the format: what values may not be, and fast checks against NumPy's."""

import numpy as np
import pytest

from tpl_lightning.data.cache.layout import all_finite, value_faults, writable


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"fps": 0.0}, "frames per second above 0, but found 0.0"),
        ({"fps": float("nan")}, "frames per second above 0, but found nan"),
        ({"labels": np.array([0, 2, -1]), "phases": 2}, r"labels -1\.\.1 \(2 phases named\), but found 2"),
        ({"labels": np.array([-2]), "phases": 2}, "but found -2"),
        ({"progress": np.array([0.0, 0.5, 0.4])}, "progress"),
        ({"progress": np.array([0.0, np.nan, 0.4])}, "progress"),
        ({"progress": np.array([0.0, 1.1])}, "progress"),
        ({"frame_times": np.array([0.0, 2.0, 1.0])}, "frame_times"),
        ({"frame_times": np.array([0.0, np.inf])}, "frame_times"),
        ({"frame_times": np.array([-1.0, 0.0])}, "frame_times"),
    ],
)
def test_wrong_values_are_told(values, said):
    (fault,) = value_faults(**values)
    with pytest.raises(ValueError, match=said):
        raise ValueError(fault)


def test_sound_values_have_no_faults():
    progress = np.array([np.nan, 0.0, 0.5, 0.5, 1.0, np.nan])
    times = np.array([0.0, 0.1, 0.1, 0.4, 0.5, 0.6])
    assert not list(value_faults(fps=24.0, labels=np.arange(-1, 5), phases=5, progress=progress, frame_times=times))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_finite_is_what_numpy_says(dtype):
    values = np.random.default_rng(0).normal(size=(40, 7)).astype(dtype)
    values[0, :2] = np.finfo(dtype).max, np.finfo(dtype).min
    values[1, :3] = 0.0, -0.0, np.finfo(dtype).smallest_subnormal
    assert all_finite(values)
    for bad in (np.inf, -np.inf, np.nan, -np.nan):
        wrong = values.copy()
        wrong[17, 3] = bad
        assert not all_finite(wrong)


def test_text_that_hdf5_cannot_hold_is_replaced():
    assert writable("a\0b") == "a?b"
    assert writable("caf\udce9") == "caf?"
    assert writable("café") == "café"
