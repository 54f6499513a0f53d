"""Supervised channels in the joint fit: they align what features cannot, and where there are none nothing changes."""

import torch

from tpl_lightning.functional.smoothing import sample_rows
from tpl_lightning.functional.warps.cpab import cpab_warp
from tpl_lightning.groupwise.fit import JointOptions
from tpl_lightning.groupwise.model import JointModel

GRID = torch.linspace(0, 1, 128)


def _noise(count=10, actions=2, known=None):
    """Videos whose features say nothing, and steps at .3 and .7 of prototype time: signal, action, labels, steps."""
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(count, 128, 4, generator=generator) / 2
    theta = torch.randn(count, 15, generator=generator).cumsum(1) * 0.25
    progress = cpab_warp(-(theta - theta.mean(1, keepdim=True)), GRID)
    steps = torch.stack([(progress > step).float() for step in (0.3, 0.7)], -1)
    labels = 2 * steps
    if known is not None:
        labels[~known] = torch.nan
    return signal, torch.arange(count) % actions, labels, steps


def _fit(signal, action, labels):
    return JointModel.fit(signal, action, num_actions=2, options=JointOptions(adapt=0.0), labels=labels)


def _spread(theta, steps, action):
    """Deviation, within an action, of the prototype times at which the steps come."""
    found = []
    for label in range(int(action.max()) + 1):
        own = sample_rows(steps, cpab_warp(theta, GRID))[action == label]
        found.append((own < 0.5).float().mean(1).std(0, correction=0).mean())
    return float(torch.stack(found).mean())


def test_labels_align_what_features_cannot():
    signal, action, labels, steps = _noise()
    (_, plain), (model, told) = (_fit(signal, action, x) for x in (None, labels))
    before = _spread(torch.zeros_like(plain), steps, action)
    assert _spread(plain, steps, action) > 0.7 * before
    assert _spread(told, steps, action) < 0.3 * before
    again = JointModel.from_state(model.state())
    assert again.align(again.space(signal), action)[0].shape == (10, 15)  # new videos: by features alone


def test_no_labels_and_those_of_one_video_of_an_action_change_nothing():
    plain = _fit(*_noise()[:2], None)[1]
    for known in (torch.zeros(10, dtype=torch.bool), torch.arange(10) < 2):
        signal, action, labels, _ = _noise(known=known)
        torch.testing.assert_close(_fit(signal, action, labels)[1], plain, atol=1e-3, rtol=0)


def test_videos_without_labels_are_moved_by_the_prototype_alone():
    known = torch.arange(10) < 6
    signal, action, labels, steps = _noise(known=known)
    told = _fit(signal, action, labels)[1]
    before = _spread(torch.zeros_like(told)[known], steps[known], action[known])
    assert _spread(told[known], steps[known], action[known]) < 0.3 * before
    assert _spread(told[~known], steps[~known], action[~known]) > 0.5 * before
