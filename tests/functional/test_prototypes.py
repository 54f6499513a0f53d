"""Prototypes against plain loops."""

import math

import numpy as np
import pytest
import torch

from tests.conftest import random_tensor
from tpl_lightning.functional.masks import length_mask
from tpl_lightning.functional.prototypes import PrototypeAccumulator, group_mean, mean_of_others

ACTION, POINTS = torch.tensor([0, 2, 0, 2]), torch.tensor([6, 4, 6, 4])


def _loop_mean(values, longest):
    """Equation [7], point by point; action 1 has no video."""
    mean = torch.zeros(3, longest, values.shape[2], dtype=values.dtype)
    for action in range(3):
        for point in range(longest):
            members = [values[i, point] for i in range(4) if ACTION[i] == action and point < POINTS[i]]
            if members:
                mean[action, point] = sum(members) / len(members)
    return mean


@pytest.mark.parametrize("longest", [None, 6, 8])
def test_group_mean_equals_a_loop_and_ignores_what_is_masked(longest):
    values, mask = random_tensor(4, 6, 3), length_mask(POINTS, 6)
    values[~mask] = math.nan
    found = group_mean(values, ACTION, mask, num_actions=3, longest=longest)
    torch.testing.assert_close(found, _loop_mean(values, longest or 6))
    assert found[1].abs().max() == 0


def test_group_mean_gradient():
    mask = length_mask(POINTS, 6)
    values = random_tensor(4, 6, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: group_mean(v, ACTION, mask, num_actions=3, longest=7), (values,))
    group_mean(values, ACTION, mask, num_actions=3).sum().backward()
    # Two videos share each mean; masked points have no part in it.
    torch.testing.assert_close(values.grad, (mask[..., None] * 0.5).double().expand(4, 6, 2))


def test_group_mean_of_half_precision_counts_beyond_256_videos():
    values = random_tensor(700, 2, 1).bfloat16()
    action, mask = torch.zeros(700, dtype=torch.long), torch.ones(700, 2, dtype=torch.bool)
    found = group_mean(values, action, mask, num_actions=1)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[0].double(), values.double().mean(0), atol=1e-6, rtol=0)


def test_more_points_than_the_result_has_are_refused():
    mask = torch.ones(4, 6, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"at most 5 points .* \(4, 6, 1\)"):
        group_mean(torch.ones(4, 6, 1), ACTION, mask, num_actions=3, longest=5)
    with pytest.raises(ValueError, match="at most 5 points"):
        PrototypeAccumulator(torch.zeros(3, 5, 1)).add(torch.ones(4, 6, 1), ACTION, mask)


def test_accumulator_over_batches_equals_a_loop():
    values, mask = random_tensor(4, 6, 3), length_mask(POINTS, 6)
    values[~mask] = math.nan
    accumulator = PrototypeAccumulator(torch.zeros(3, 8, 3))
    for rows in ([0], [1, 3], [2]):  # the middle batch has fewer points than the result
        size = int(POINTS[rows].max())
        accumulator.add(values[rows, :size], ACTION[rows], mask[rows, :size])
    torch.testing.assert_close(accumulator.finish(), _loop_mean(values, 8).float())
    torch.testing.assert_close(accumulator.finish(), _loop_mean(values, 8).float())


def test_accumulator_adds_in_double_precision():
    """In float32 the sum of 4000 values near 1e4 would be wrong by more than its last digit."""
    values = (random_tensor(4000, 1, 1) + 1e4).float()
    accumulator = PrototypeAccumulator(torch.zeros(1, 1, 1))
    for batch in values.split(1):
        accumulator.add(batch, torch.zeros(1, dtype=torch.long), torch.ones(1, 1, dtype=torch.bool))
    expected = np.float32(values.numpy().astype(np.float64).mean())
    assert accumulator.finish().item() == expected


def test_the_mean_of_others_leaves_out_a_part_where_there_are_others():
    values = random_tensor(3, 5, 2)
    mean = values.mean(0, keepdim=True).expand(3, -1, -1)
    count = torch.tensor([3.0, 3.0, 1.0], dtype=values.dtype).view(-1, 1, 1)
    part = torch.tensor([1.0, 0.0, 1.0], dtype=values.dtype).view(-1, 1, 1)
    found = mean_of_others(mean, values, count, part)
    torch.testing.assert_close(found[0], values[1:].mean(0))
    assert torch.equal(found[1], mean[1])  # it has no part in the mean
    assert torch.equal(found[2], mean[2])  # it is alone


def test_a_video_alone_is_the_prototype_of_its_action():
    values, mask = random_tensor(1, 4, 2), torch.ones(1, 4, dtype=torch.bool)
    accumulator = PrototypeAccumulator(torch.zeros(3, 5, 2))
    accumulator.add(values, torch.tensor([1]), mask)
    found = accumulator.finish()
    torch.testing.assert_close(found[1, :4], values[0].float())
    assert (found[1, 4] == 0).all()
    assert (found[[0, 2]] == 0).all()
