"""Phase accuracy by action, where actions lack videos."""

import pytest
import torch

from tpl_lightning.metrics import PhaseAccuracy

WALK = torch.arange(6.0).view(1, 6, 1)
LABELS = torch.tensor([[0, 0, 0, 1, 1, 1]])
SIX = torch.tensor([6])


def _add(add, action, index, labels=LABELS):
    add(WALK, SIX, torch.tensor([action]), torch.tensor([index]), labels)


def test_actions_without_videos_count_for_nothing():
    metric = PhaseAccuracy(num_actions=4, num_channels=1)
    for index, action in enumerate((0, 1, 2)):  # 2 has no test videos
        _add(metric.update_train, action, index)
    _add(metric.update, 1, 9, labels=torch.full((1, 6), -1))  # nothing to be right about
    _add(metric.update, 1, 10)
    _add(metric.update, 1, 11, labels=torch.tensor([[0, 0, 1, 1, 1, -1]]))  # of which one is taken for 0
    _add(metric.update, 3, 12)  # and 3 nothing to learn from
    total, count = metric.totals()
    assert count.tolist() == [0, 2, 0, 0]
    assert total.tolist() == pytest.approx([0, 1.8, 0, 0])
    assert float(metric.compute()) == pytest.approx(0.9)
    by_action = metric.per_action()
    assert by_action.isnan().tolist() == [True, False, True, True]
    assert float(by_action[1]) == pytest.approx(0.9)
