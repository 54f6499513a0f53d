"""Labels in the joint fit: they align what features cannot, and where there are none nothing changes."""

import pytest
import torch

from tpl_lightning.functional.cpab import cpab_warp
from tpl_lightning.functional.first_fit import SpaceOptions, _matched
from tpl_lightning.functional.joint import Guide, JointOptions, fit_jointly, targets
from tpl_lightning.functional.joint_model import JointModel
from tpl_lightning.functional.smoothing import sample_rows

GRID = torch.linspace(0, 1, 128)


def _noise(count=10, actions=2, known=None):
    """Videos whose features say nothing, and steps at .3 and .7 of prototype time: signal, action, guide, steps."""
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(count, 128, 4, generator=generator) / 2
    theta = torch.randn(count, 15, generator=generator).cumsum(1) * 0.25
    progress = cpab_warp(-(theta - theta.mean(1, keepdim=True)), GRID)
    channels = torch.stack([(progress > step).float() for step in (0.3, 0.7)], -1)
    known = torch.ones(count, dtype=torch.bool) if known is None else known
    return signal, torch.arange(count) % actions, Guide(2 * channels, known), channels


def _spread(theta, steps, action):
    """Deviation, within an action, of the prototype times at which the steps come."""
    found = []
    for label in range(int(action.max()) + 1):
        own = sample_rows(steps, cpab_warp(theta, GRID))[action == label]
        found.append((own < 0.5).float().mean(1).std(0, correction=0).mean())
    return float(torch.stack(found).mean())


def test_labels_align_what_features_cannot():
    signal, action, guide, steps = _noise()
    plain = fit_jointly(signal, action, num_actions=2, options=JointOptions()).theta
    told = fit_jointly(signal, action, num_actions=2, options=JointOptions(), guide=guide)
    before = _spread(torch.zeros_like(plain), steps, action)
    assert _spread(plain, steps, action) > 0.7 * before
    assert _spread(told.theta, steps, action) < 0.2 * before
    assert all(p.shape[2] == 4 for p in told.prototypes)


@pytest.mark.parametrize("paths", [0, 1, 2])
def test_no_labels_change_nothing(paths):
    nobody = torch.zeros(10, dtype=torch.bool)
    signal, action, guide, _ = _noise(known=nobody)
    space = SpaceOptions(path_rounds=paths)
    found = [
        JointModel.fit(signal, action, num_actions=2, options=JointOptions(), space=space, guide=g)[1]
        for g in (None, guide)
    ]
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=0)


def test_one_labelled_video_of_an_action_tells_nothing():
    alone = torch.arange(10) < 2
    signal, action, guide, _ = _noise(known=alone)
    found = [fit_jointly(signal, action, num_actions=2, options=JointOptions(), guide=g).theta for g in (None, guide)]
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=0)


def test_videos_without_labels_are_moved_by_the_prototype_alone():
    signal, action, guide, steps = _noise(known=torch.arange(10) < 6)
    told = fit_jointly(signal, action, num_actions=2, options=JointOptions(), guide=guide).theta
    labelled = guide.known
    before = _spread(torch.zeros_like(told)[labelled], steps[labelled], action[labelled])
    assert _spread(told[labelled], steps[labelled], action[labelled]) < 0.3 * before
    garbage = Guide(torch.where(labelled.view(-1, 1, 1), guide.channels, 7.0), labelled)
    again = fit_jointly(signal, action, num_actions=2, options=JointOptions(), guide=garbage).theta
    assert torch.equal(again, told)


def test_paths_meet_the_mean_of_the_others_that_have_labels():
    signal, action, guide, _ = _noise(known=torch.tensor([1, 0, 1, 0, 1, 0, 1, 1, 0, 0], dtype=torch.bool))
    known = torch.arange(10) < 6
    times = cpab_warp(0.1 * torch.randn(6, 15, generator=torch.Generator().manual_seed(1)), GRID)
    options = JointOptions(level_freedom=0.0)
    both, target = _matched(signal, times, known, action, num_actions=2, options=options, guide=guide)
    expected = targets(sample_rows(signal[known], times), action[known], num_actions=2, options=options)[0]
    torch.testing.assert_close(target[known][..., :4], expected)
    aligned = sample_rows(guide.channels[known], times)
    for i in range(10):
        # Of action 1 no video has labels and is aligned: its number 7 has nobody to be compared with.
        heard = bool(guide.known[i]) and int(action[i]) == 0
        others = [aligned[j] for j in (0, 2, 4) if j != i]
        torch.testing.assert_close(both[i, :, 4:], guide.channels[i] * heard)
        torch.testing.assert_close(target[i, :, 4:], torch.stack(others).mean(0) * heard)
    torch.testing.assert_close(both[..., :4], signal)


def test_new_videos_are_aligned_by_features_alone():
    signal, action, guide, _ = _noise()
    model, _ = JointModel.fit(signal, action, num_actions=2, options=JointOptions(), space=SpaceOptions(), guide=guide)
    assert model.align(model.space(signal), action)[0].shape == (10, 15)
    again = JointModel.from_state(model.state())
    assert torch.equal(again.sharp, model.sharp)
