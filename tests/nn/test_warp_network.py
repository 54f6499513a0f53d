"""What all networks that predict warps share: recurrences, both directions of the warps, half precision."""

import pytest
import torch
from torch import nn

from tpl_lightning.functional.resampling import resample
from tpl_lightning.functional.warps.cpab import cpab_warp
from tpl_lightning.nn.encoders import PerAction
from tpl_lightning.nn.warp_network import WarpNetwork, full_precision

LENGTHS, POINTS = torch.tensor([30, 12, 21]), torch.tensor([18, 10, 18])


class _MeanAligner(nn.Module):
    """Says theta from the mean of the first channel over a signal, and keeps what it has seen."""

    def __init__(self, size, scale):
        super().__init__()
        self.size, self.scale, self.seen = size, scale, []

    def forward(self, signal, lengths):
        self.seen.append(signal)
        mean = torch.stack([row[:n, 0].mean() for row, n in zip(signal, lengths.tolist(), strict=True)])
        return self.scale * mean.unsqueeze(1) * torch.linspace(-1, 1, self.size, dtype=signal.dtype)


def _network(num_cells=16, recurrences=1, scale=2.0):
    network = WarpNetwork(num_cells, recurrences, backend="torch")
    network.aligner = _MeanAligner(network.num_parameters, scale)
    return network


def _signal(dtype=torch.float64):
    return torch.randn(3, 30, 2, generator=torch.Generator().manual_seed(1), dtype=dtype)


@pytest.mark.parametrize(
    ("num_cells", "recurrences", "levels"), [(16, 1, (16,)), (8, 3, (8, 8, 8)), ([4, 8], 1, (4, 8))]
)
def test_there_is_a_warp_for_each_recurrence(num_cells, recurrences, levels):
    network = _network(num_cells, recurrences)
    assert network.levels == levels
    assert network.num_parameters == max(levels) - 1
    assert network.predict_theta(_signal(), LENGTHS, POINTS).shape == (3, len(levels), max(levels) - 1)


def test_the_aligner_looks_along_the_warps_so_far():
    network, signal = _network(recurrences=3, scale=10.0), _signal()
    theta = network.predict_theta(signal, LENGTHS, POINTS)
    grid = (torch.arange(18).double() / (POINTS[:, None] - 1)).clamp(max=1)
    times = grid
    for step, seen in enumerate(network.aligner.seen):
        torch.testing.assert_close(seen, resample(signal, times, LENGTHS))
        # T = T_1 o T_2 o ...: the newest warp is applied first.
        times = grid
        for level in reversed(range(step + 1)):
            times = cpab_warp(theta[:, level], times)
    assert theta.abs().amax(-1).min() > 0.01


def test_points_that_are_given_do_as_those_looked_up():
    network = _network()
    expected = network.predict_theta(_signal(), LENGTHS, POINTS)
    assert torch.equal(network.predict_theta(_signal(), LENGTHS, POINTS, points=18), expected)
    torch.testing.assert_close(network.predict_theta(_signal(), LENGTHS, POINTS, points=25), expected)


def test_each_action_has_an_aligner_of_its_own():
    network = _network()
    parts = [_MeanAligner(15, scale) for scale in (1.0, -3.0)]
    network.aligner = PerAction(parts)
    found = network.predict_theta(_signal(), LENGTHS, POINTS, action=torch.tensor([0, 1, 0]))
    for i, scale in enumerate((1.0, -3.0, 1.0)):
        network.aligner = _MeanAligner(15, scale)
        alone = network.predict_theta(_signal()[i : i + 1], LENGTHS[i : i + 1], POINTS[i : i + 1])
        torch.testing.assert_close(found[i], alone[0])


@pytest.mark.parametrize(("num_cells", "recurrences"), [(16, 1), (16, 2), ([4, 8], 1)])
def test_both_directions_undo_each_other_and_end_at_1(num_cells, recurrences):
    network = _network(num_cells, recurrences)
    theta = network.predict_theta(_signal(), LENGTHS, POINTS)
    source, position = network.time_maps(theta, LENGTHS, POINTS, frames=34)
    assert (source.shape, position.shape) == ((3, 18), (3, 34))
    for times, counts in ((source, POINTS), (position, LENGTHS)):
        for row, count in zip(times, counts.tolist(), strict=True):
            assert (float(row[0]), float(row[count - 1])) == (0.0, 1.0)
            assert (row[:count].diff() > 0).all()
            assert (row[count:] == 1).all()
    frames = (torch.arange(34).double() / (LENGTHS[:, None] - 1)).clamp(max=1)
    torch.testing.assert_close(network.warp(theta, position), frames, atol=1e-9, rtol=0)


def test_without_a_prediction_times_stay_as_they_are():
    points = torch.rand(3, 7)
    assert _network().warp(torch.zeros(3, 0, 15), points) is points


def test_theta_of_an_aligner_in_half_precision_is_kept_in_single():
    network = _network()
    network.aligner.forward = lambda signal, lengths: torch.full((3, 15), 0.3, dtype=torch.bfloat16)
    assert network.predict_theta(_signal(torch.float32), LENGTHS, POINTS).dtype == torch.float32


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_becomes_single_and_the_rest_stays(dtype, expected):
    x = torch.tensor([0.5, -3.0], dtype=dtype)
    found = full_precision(x)
    assert found.dtype == expected
    assert found.tolist() == [0.5, -3.0]
