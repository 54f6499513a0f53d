"""The strength of the prior: how far tempos differ is measured without their noise, and clips in step stay there."""

import pytest
import torch

from tpl_lightning.functional.adapted_prior import some_of_each, stiffness_of, tempo_variance
from tpl_lightning.functional.cpab import cpab_warp
from tpl_lightning.functional.joint import JointOptions
from tpl_lightning.functional.joint_model import JointModel, SpaceOptions
from tpl_lightning.functional.smoothing import sample_rows, smoothed
from tpl_lightning.functional.timing_space import TimingSpace

GRID = torch.linspace(0, 1, 128)
PLAIN = TimingSpace(derivative=0.5, sigma=0.0125)


def _videos(strength, *, noise=0.5, count=20, actions=2, channels=12, seed=0):
    """Warps of one smooth signal per action, with changes of their own: signals, actions, displacements (N, G)."""
    generator = torch.Generator().manual_seed(seed)
    waves = torch.randn(actions, 6, channels, generator=generator)
    clean = torch.cos(torch.pi * GRID[:, None] * torch.arange(1, 7)) @ waves
    action = torch.arange(count) % actions
    theta = strength * torch.randn(count, 15, generator=generator).cumsum(1) * 0.25
    for label in range(actions):
        theta[action == label] -= theta[action == label].mean(0)
    signal = sample_rows(clean[action], cpab_warp(-theta, GRID))
    own = smoothed(torch.randn(signal.shape, generator=generator), 0.03, 128)
    signal = signal / signal.std() + noise * own / own.std()
    signal = signal - signal.mean(1, keepdim=True)
    return signal / signal.square().sum(-1).mean().sqrt(), action, cpab_warp(theta, GRID) - GRID


def _variance(signal, action, actions=2):
    return tempo_variance(signal, action, num_actions=actions, space=PLAIN)


def test_variance_of_the_tempo_is_that_of_the_true_warps_and_noise_adds_nothing():
    in_step = []
    for seed in range(4):
        for strength in (0.25, 0.5):
            signal, action, displacement = _videos(strength, seed=seed)
            truth = float(displacement.square().mean()) * 10 / 9  # centred, ten of each action
            assert 0.6 < _variance(signal, action) / truth < 1.3
        signal, action, _ = _videos(0.0, noise=1.0, seed=seed)
        in_step.append(_variance(signal, action))
    assert abs(sum(in_step) / 4) < 3e-5 < 1e-4 < float(_videos(0.5)[2].square().mean())


def test_prior_is_stiffer_the_less_tempos_differ():
    found = []
    for strength in (0.0, 0.1, 0.2, 1.0):
        signal, action, _ = _videos(strength, noise=1.0)
        found.append(stiffness_of(signal, action, num_actions=2, space=PLAIN))
    assert found[0] > found[1] > found[2] > found[3] == 1
    assert found[0] <= 64


def test_nothing_is_concluded_from_few_channels():
    """Half of the channels may know nothing of the tempo that the other half shows."""
    signal, action, _ = _videos(1.0, noise=0.0)
    own = torch.randn(signal.shape, generator=torch.Generator().manual_seed(1))
    strong_and_weak = torch.cat([signal[..., :2], 0.05 * own], -1)
    alone = torch.arange(len(action))
    assert tempo_variance(signal, alone, num_actions=len(alone), space=PLAIN) == 0
    for features in (signal[..., :1], signal[..., :3], strong_and_weak, torch.zeros_like(signal)):
        assert stiffness_of(features, action, num_actions=2, space=PLAIN) == 1


def test_videos_in_step_are_kept_there():
    """What the stiffer prior is for: where tempos do not differ, warps fit noise."""
    signal, action, _ = _videos(0.05, noise=1.0, seed=2)
    size = {}
    for adapt in (0.0, 0.05):
        space = SpaceOptions(adapt=adapt)
        model, theta = JointModel.fit(signal, action, num_actions=2, options=JointOptions(), space=space)
        size[adapt] = float((cpab_warp(theta, GRID) - GRID).abs().mean())
        assert (model.stiffness > 2) == (adapt > 0)
        assert model.options.smoothness == pytest.approx(model.stiffness * JointOptions().smoothness)
    assert size[0.05] < 0.5 * size[0.0]
    # A one-pass answer knows nothing of the prior.
    loose = 0.5 * torch.randn(4, 15, generator=torch.Generator().manual_seed(5))
    again = JointModel.from_state(model.state())
    assert again.stiffness == model.stiffness
    steadied = again.steadied(loose)
    assert (cpab_warp(steadied, GRID) - GRID).abs().mean() < 0.7 * (cpab_warp(loose, GRID) - GRID).abs().mean()
    assert torch.equal(JointModel(model.space, model.options, model.prototypes).steadied(loose), loose)


def test_some_of_each_action_are_evenly_spread():
    action = torch.tensor([0] * 10 + [1] * 3 + [0] * 2)
    chosen = some_of_each(action, 4)
    assert torch.bincount(action[chosen]).tolist() == [4, 3]
    assert torch.nonzero(chosen & (action == 0)).flatten().tolist() == [2, 5, 8, 14]
    assert bool(some_of_each(action, 12).all())
