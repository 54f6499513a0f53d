"""Phase accuracy against a loop over test videos, and where actions lack videos."""

import numpy as np
import pytest
import torch

from tests.embedded_videos import ACTIONS, SIZES, make_batch, parts
from tpl_lightning.functional.scores.phase_classifier import fit_phase_classifier
from tpl_lightning.metrics import PhaseAccuracy

WALK = torch.arange(6.0).view(1, 6, 1)
LABELS = torch.tensor([[0, 0, 0, 1, 1, 1]])
SIX = torch.tensor([6])


def test_it_is_the_mean_over_test_videos_of_the_classifiers_accuracy():
    train, test = make_batch(range(12), seed=1), make_batch(range(12, 20), seed=1)
    expected = {a: [] for a in range(ACTIONS)}
    for action in range(ACTIONS):
        own = [(x[y >= 0], y[y >= 0]) for x, y, a in parts(train) if a == action]
        x, y = (np.concatenate(p) for p in zip(*own, strict=True))
        video = np.repeat(np.arange(len(own)), [len(p[1]) for p in own])
        classifier = fit_phase_classifier(x, y, video)
        for frames, labels, a in parts(test):
            if a == action and (labels >= 0).any():
                known = labels >= 0
                expected[a].append(np.mean(classifier.predict(frames[known]) == labels[known]))
    metric = PhaseAccuracy(**SIZES)
    for numbers in ([3, 1, 2, 0, 4], range(5, 12)):
        metric.update_train(**make_batch(numbers, seed=1))
    for numbers in ([15, 13], range(12, 20)):
        metric.update(**make_batch(numbers, seed=1))
    np.testing.assert_allclose(float(metric.compute()), np.mean([v for e in expected.values() for v in e]), atol=1e-9)
    np.testing.assert_allclose(metric.per_action().tolist(), [np.mean(v) for v in expected.values()], atol=1e-9)


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


def test_videos_of_actions_without_a_labelled_training_frame_are_left_out():
    train, test = make_batch([0, 2, 4], seed=2), make_batch([6, 7, 8, 9], seed=2)  # training: action 0 alone
    metric = PhaseAccuracy(**SIZES)
    metric.update_train(**train)
    metric.update(**test)
    per_action = metric.per_action()
    assert per_action[1].isnan()
    torch.testing.assert_close(metric.compute(), per_action[0])


def test_new_training_videos_drop_the_stored_value_and_are_no_update():
    metric = PhaseAccuracy(num_actions=1, num_channels=1)
    _add(metric.update_train, 0, 0, labels=1 - LABELS)
    assert not metric.update_called
    _add(metric.update, 0, 1)
    assert metric.compute() == 0
    for index in range(2, 9):
        _add(metric.update_train, 0, index)
    assert metric.compute() == 1
