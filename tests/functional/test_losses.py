"""Losses and prototypes against plain loops, and two processes against one."""

import math

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp

from tpl_lightning.functional.losses import annealed_weight, icae_loss, reconstruction_loss, tpl_loss
from tpl_lightning.functional.masks import frame_times, length_mask
from tpl_lightning.functional.prototypes import PrototypeAccumulator, group_mean
from tpl_lightning.functional.resample import resample, resample_nearest

LENGTHS, ACTION, POINTS = torch.tensor([9, 5, 7, 4]), torch.tensor([0, 2, 0, 2]), torch.tensor([6, 4, 6, 4])


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _interpolate(signal, time):
    """One value of one signal (L, C), by hand."""
    place = min(max(time, 0.0), 1.0) * (len(signal) - 1)
    low = min(int(place), len(signal) - 2)
    return signal[low] * (1 - (place - low)) + signal[low + 1] * (place - low)


def test_resample_equals_a_loop_and_never_reads_padding():
    signal, times = _random(4, 9, 3), _random(4, 11).abs() * 0.6 - 0.1
    signal[~length_mask(LENGTHS, 9)] = math.nan
    found = resample(signal, times, LENGTHS)
    for i in range(4):
        for p in range(11):
            expected = _interpolate(signal[i, : LENGTHS[i]], float(times[i, p]))
            torch.testing.assert_close(found[i, p], expected)
    assert resample(signal.half(), times.float(), LENGTHS).dtype == torch.float32


def test_resample_gradient():
    signal, times = _random(2, 6, 3).requires_grad_(), (_random(2, 5).abs() * 0.3 + 0.013).requires_grad_()
    assert torch.autograd.gradcheck(lambda s, t: resample(s, t, torch.tensor([6, 4])), (signal, times))


def test_resample_of_one_frame_and_nearest():
    one = resample(torch.ones(1, 3, 2), torch.tensor([[0.0, 0.7]]), torch.tensor([1]))
    assert torch.equal(one, torch.ones(1, 2, 2))
    labels = torch.tensor([[5, 6, 7, -9]])
    assert resample_nearest(labels, torch.tensor([[0.0, 0.2, 0.3, 0.9, 1.4]]), torch.tensor([3])).tolist() == [
        [5, 5, 6, 7, 7]
    ]


def test_masks():
    assert length_mask(torch.tensor([1, 3]), 3).tolist() == [[True, False, False], [True, True, True]]
    assert frame_times(torch.tensor([2, 3]), 3).tolist() == [[0, 1, 1], [0, 0.5, 1]]


def test_group_mean_equals_a_loop():
    values, mask = _random(4, 6, 3), length_mask(POINTS, 6)
    found = group_mean(values, ACTION, mask, num_actions=3, longest=8)
    assert found.shape == (3, 8, 3)
    for action in range(3):
        for point in range(8):
            members = [values[i, point] for i in range(4) if ACTION[i] == action and point < POINTS[i]]
            expected = sum(members) / len(members) if members else torch.zeros(3, dtype=torch.float64)
            torch.testing.assert_close(found[action, point], expected)
    accumulator = PrototypeAccumulator(torch.zeros(3, 8, 3))
    for rows in (slice(0, 1), slice(1, 4)):
        accumulator.add(values[rows, : POINTS[rows].max()], ACTION[rows], mask[rows, : POINTS[rows].max()])
    torch.testing.assert_close(accumulator.finish(), found.float())


def test_icae_equals_a_loop():
    """Equation [3], frame by frame."""
    latent, position = _random(4, 9, 2), _random(4, 9).abs().clamp(max=1)
    prototype = _random(3, 6, 2, seed=1)
    total = 0.0
    for i in range(4):
        curve = prototype[ACTION[i], : POINTS[i]]
        errors = [((_interpolate(curve, float(position[i, u])) - latent[i, u]) ** 2).sum() for u in range(LENGTHS[i])]
        total += sum(errors) / len(errors) / 4
    torch.testing.assert_close(icae_loss(latent, position, prototype, ACTION, LENGTHS, POINTS), total)


def test_reconstruction_equals_a_loop():
    """Equation [4], video by video."""
    found, expected = _random(4, 9, 5), _random(4, 9, 5, seed=1)
    total = sum(((found[i, :n] - expected[i, :n]) ** 2).sum() / n for i, n in enumerate(LENGTHS.tolist())) / 4
    torch.testing.assert_close(reconstruction_loss(found, expected, LENGTHS), total)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert reconstruction_loss(found.bfloat16(), expected.float(), LENGTHS).dtype == torch.float32


def test_annealing_equals_its_formula_and_does_not_overflow():
    """Equations [5] and [6]."""
    for epoch in range(20):
        assert annealed_weight(epoch, 2.0, 10) == pytest.approx(1 / (1 + math.exp(-2 * (epoch - 10))))
    assert (annealed_weight(0, 1e6, 1e6), annealed_weight(1e6, 1e6, 0)) == (0.0, 1.0)
    assert float(tpl_loss(torch.tensor(2.0), torch.tensor(3.0), 0.5, 2.0)) == 7.0


def _losses(weight, rows):
    """L_ICAE of a linear encoder on some of the videos, with every part that crosses ranks."""
    videos, times = _random(4, 9, 3), frame_times(LENGTHS, 9, torch.float64)
    latent = (videos @ weight)[rows]
    lengths, action, points = LENGTHS[rows], ACTION[rows], POINTS[rows]
    source = frame_times(points, int(points.max()), torch.float64) ** 1.3
    mask = length_mask(points, source.shape[1])
    prototype = group_mean(resample(latent, source, lengths), action, mask, num_actions=3, longest=6)
    icae = icae_loss(latent, times[rows] ** (1 / 1.3), prototype, action, lengths, points)
    return icae + 0.3 * reconstruction_loss(latent, videos[rows][..., :2], lengths)


def _rank(rank, store, folder, rows):
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    weight = _random(3, 2, seed=5).requires_grad_()
    loss = _losses(weight, rows[rank])
    loss.backward()
    # What DistributedDataParallel does: average the gradients.
    torch.distributed.all_reduce(weight.grad)
    total = PrototypeAccumulator(torch.zeros(3, 6, 1))
    if rank == 0:
        total.add(torch.ones(1, 6, 1), torch.tensor([1]), torch.ones(1, 6, dtype=torch.bool))
    np.savez(f"{folder}/{rank}.npz", grad=weight.grad / 2, loss=float(loss.detach()), total=total.finish())
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("rows", [([0, 1], [2, 3]), ([0], [1, 2, 3]), ([0, 2], [1, 3])])
def test_two_processes_equal_one(tmp_path, rows):
    """Equal and unequal counts, and an action missing on each rank."""
    mp.spawn(_rank, args=(tmp_path / "store", tmp_path, rows), nprocs=2)
    weight = _random(3, 2, seed=5).requires_grad_()
    _losses(weight, [0, 1, 2, 3]).backward()
    loss = float(_losses(weight, [0, 1, 2, 3]).detach())
    ranks = [np.load(tmp_path / f"{rank}.npz") for rank in range(2)]
    for rank in ranks:
        np.testing.assert_allclose(rank["grad"], weight.grad.numpy(), atol=1e-12)
        assert rank["total"][1].min() == 1.0
    assert sum(float(r["loss"]) for r in ranks) / 2 == pytest.approx(loss, abs=1e-12)
