"""WCSS against plain loops; what padding and other actions must not change."""

import pytest
import torch

from tests.tolerances import TOLERANCES
from tpl_lightning.functional.losses.dtan import wcss_loss
from tpl_lightning.functional.masks import length_mask
from tpl_lightning.functional.prototypes import group_mean

LENGTHS, ACTION = torch.tensor([6, 6, 4, 4, 4]), torch.tensor([1, 1, 0, 0, 0])


def _aligned():
    return torch.randn(5, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _loss(aligned):
    prototype = group_mean(aligned, ACTION, length_mask(LENGTHS, 6), num_actions=2, longest=9)
    return wcss_loss(aligned, prototype, ACTION, LENGTHS)


def test_equals_plain_loops():
    aligned, total = _aligned(), 0.0
    for i in range(5):
        for j in range(int(LENGTHS[i])):
            rows = [k for k in range(5) if ACTION[k] == ACTION[i]]
            mean = sum(aligned[k, j] for k in rows) / len(rows)
            total += float((aligned[i, j] - mean).square().sum()) / int(LENGTHS[i])
    assert float(_loss(aligned)) == pytest.approx(total / 5, rel=1e-12)


def test_padding_counts_for_nothing():
    aligned, other = _aligned(), _aligned()
    other[2:, 4:] = float("nan")
    assert torch.equal(_loss(aligned), _loss(other))


def test_gradient():
    assert torch.autograd.gradcheck(_loss, _aligned().requires_grad_())


def test_videos_in_step_cost_nothing():
    assert float(_loss(_aligned()[:1].expand(5, -1, -1))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_lower_precision_is_added_up_in_single(dtype):
    aligned = _aligned().to(dtype)
    found = _loss(aligned)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), _loss(aligned.double()), **TOLERANCES[torch.float32])
