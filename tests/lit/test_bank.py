"""The bank of training videos: leave-one-out barycenters, room, steps of a batch, gradients."""

import pytest
import torch

from tpl_lightning.lit.bank import WarpBank

ACTION = torch.tensor([0, 1, 0, 0, 1, 2])


def _bank(most=100):
    bank = WarpBank.of(ACTION, most=most, num_actions=3, grid=8, features=2)
    aligned = torch.randn(6, 8, 2, generator=torch.Generator().manual_seed(0))
    times = torch.rand(6, 8, generator=torch.Generator().manual_seed(1)).sort(1).values
    bank.put(torch.arange(6), aligned, times)
    return bank, aligned, times


def _slow(values, i, leave_one_out):
    others = [j for j in range(6) if ACTION[j] == ACTION[i] and not (leave_one_out and j == i)]
    return torch.stack([values[j] for j in others or [i]]).mean(0)


@pytest.mark.parametrize("leave_one_out", [True, False])
def test_barycenters_equal_a_slow_loop(leave_one_out):
    bank, aligned, _ = _bank()
    every = torch.arange(6)
    found = bank.barycenters(bank.prototypes(), bank.last(every), every, ACTION, leave_one_out=leave_one_out)
    for i in range(6):
        torch.testing.assert_close(found[i], _slow(aligned, i, leave_one_out), rtol=0, atol=1e-6)
    for a in range(3):
        torch.testing.assert_close(bank.prototypes()[a], aligned[a == ACTION].mean(0))


def _live(bank, index, live, leave_one_out):
    mean = bank.moved(bank.prototypes(), live - bank.last(index), index, ACTION[index])
    return bank.barycenters(mean, live, index, ACTION[index], leave_one_out=leave_one_out)


@pytest.mark.parametrize("leave_one_out", [True, False])
def test_moved_means_hold_this_steps_videos_in_place_of_the_last(leave_one_out):
    bank, aligned, _ = _bank()
    index = torch.tensor([3, 1])
    live = torch.randn(2, 8, 2, requires_grad=True)
    mixed = aligned.clone()
    mixed[index] = live.detach()
    found = _live(bank, index, live, leave_one_out)
    for k, i in enumerate(index.tolist()):
        torch.testing.assert_close(found[k].detach(), _slow(mixed, i, leave_one_out), rtol=0, atol=1e-6)
    found[0].sum().backward()
    if leave_one_out:
        assert live.grad[0].abs().max() == 0  # no video is part of what it is compared with
    else:
        torch.testing.assert_close(live.grad[0], torch.full((8, 2), 1 / 3))


def test_a_full_batch_is_the_mean_of_the_batch():
    bank, _, _ = _bank()
    live = torch.randn(6, 8, 2)
    found = _live(bank, torch.arange(6), live, True)
    for i in range(6):
        torch.testing.assert_close(found[i], _slow(live, i, True), rtol=0, atol=1e-6)


def test_room_is_spread_over_actions_and_videos_without_room_are_compared_with_all():
    bank, aligned, times = _bank(most=3)
    assert (bank.slot >= 0).sum() == 5  # two of each action, one of the action that has one
    left = int((bank.slot < 0).nonzero()[0, 0])
    mine = [i for i in range(6) if ACTION[i] == ACTION[left] and i != left]
    index = torch.tensor([left])
    found = bank.barycenters(bank.prototypes(), bank.last(index), index, ACTION[index], leave_one_out=True)[0]
    torch.testing.assert_close(found, aligned[mine].mean(0))
    torch.testing.assert_close(bank.last_times(torch.tensor([left, -1])), torch.linspace(0, 1, 8).expand(2, -1))
    torch.testing.assert_close(bank.last_times(torch.tensor(mine)), times[mine])


def test_stand_ins_leave_the_bank_as_it_is():
    bank, aligned, _ = _bank()
    bank.put(torch.tensor([-1, 2]), torch.full((2, 8, 2), 9.0), torch.zeros(2, 8))
    torch.testing.assert_close(bank.aligned[0], aligned[0])
    assert (bank.aligned[2] == 9).all()


def test_a_state_gives_the_same_bank():
    bank, _, _ = _bank()
    again = WarpBank.from_state(bank.state())
    assert again.num_actions == bank.num_actions
    for key in ("aligned", "times", "action", "slot"):
        torch.testing.assert_close(getattr(again, key), getattr(bank, key))


def test_a_bank_has_no_more_videos_than_are_enough():
    bank = WarpBank.of(torch.zeros(500, dtype=torch.int64), most=1500, num_actions=1, grid=4, features=2)
    assert bank.aligned.shape == (360, 4, 2)
    assert bank.slot[[0, -1]].tolist() == [0, 359]  # evenly spread


def test_with_open_ends_videos_have_no_part_where_they_are_not():
    bank, aligned, times = _bank()
    times = times.clone()
    times[0, :3] = -0.5  # the first video misses the begin
    bank.put(torch.arange(6), aligned, times)
    bank.is_open = True
    every = torch.arange(6)
    prototypes = bank.prototypes()
    found = bank.barycenters(prototypes, bank.last(every), every, ACTION, leave_one_out=True)
    torch.testing.assert_close(prototypes[0, :3], aligned[2:4, :3].mean(0), rtol=0, atol=5e-3)
    torch.testing.assert_close(prototypes[0, 3:], aligned[[0, 2, 3], 3:].mean(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(found[2, :3], aligned[3, :3], rtol=0, atol=5e-3)
    assert WarpBank.from_state(bank.state()).is_open
