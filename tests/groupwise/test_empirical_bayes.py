"""The strength of the prior: how far tempos differ is measured without their noise, and clips in step stay there."""

import pytest
import torch

from tpl_lightning.functional.smoothing import sample_rows, smoothed
from tpl_lightning.functional.warps.cpab import cpab_warp
from tpl_lightning.groupwise.discriminant import DiscriminantSpace
from tpl_lightning.groupwise.empirical_bayes import precision_factor, tempo
from tpl_lightning.groupwise.fit import JointOptions
from tpl_lightning.groupwise.model import JointModel

GRID = torch.linspace(0, 1, 128)
PLAIN = DiscriminantSpace(derivative=0.5, sigma=0.0125)


def _videos(strength, *, noise=0.5, count=20, actions=2, channels=12, seed=0):
    """One smooth signal per action at smooth tempos, with changes of their own: signals, actions, displacements."""
    generator = torch.Generator().manual_seed(seed)
    waves = torch.randn(actions, 6, channels, generator=generator)
    clean = torch.cos(torch.pi * GRID[:, None] * torch.arange(1, 7)) @ waves
    action = torch.arange(count) % actions
    slow = torch.sin(torch.pi * GRID * torch.tensor([[1.0], [2.0]]))
    displacement = 0.05 * strength * (torch.randn(count, 2, generator=generator) * torch.tensor([1.0, 0.3])) @ slow
    for label in range(actions):
        displacement[action == label] -= displacement[action == label].mean(0)
    signal = sample_rows(clean[action], GRID + displacement)
    own = smoothed(torch.randn(signal.shape, generator=generator), 0.03, 128)
    signal = signal / signal.std() + noise * own / own.std()
    signal = signal - signal.mean(1, keepdim=True)
    return signal / signal.square().sum(-1).mean().sqrt(), action, displacement


def _variance(features, action, actions=2):
    return tempo(PLAIN.fit(features)[1], action, num_actions=actions)[0]


def _factor(features, action):
    return precision_factor(PLAIN.fit(features)[1], action, num_actions=2)


def test_variance_of_the_tempo_is_that_of_the_true_warps_and_noise_adds_nothing():
    for seed in range(4):
        for strength in (0.5, 1.0):
            signal, action, displacement = _videos(strength, seed=seed)
            slope = displacement.diff(dim=1) * 127
            rough = displacement.square().mean() - 0.013 * slope.square().mean()  # taken for jitter
            assert 0.7 < _variance(signal, action) / float(rough * 10 / 9) < 1.1  # centred, ten of each action
        signal, action, _ = _videos(0.0, noise=1.0, seed=seed)
        assert _variance(signal, action) < 8e-5 < 6e-4 < float(displacement.square().mean())


def test_jitter_is_no_tempo():
    """Each feature of a video early or late by as a tempo would move it, but for a ninth of the video only."""
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        signal, action, _ = _videos(0.0, noise=0.3, seed=seed)
        jitter = smoothed(torch.randn(len(signal), 128, 1, generator=generator), 0.06, 128)[..., 0]
        jitter = 0.02 * jitter / jitter.std() * (torch.pi * GRID).sin()
        rough = sample_rows(signal, (GRID + jitter).clamp(0, 1))
        assert _variance(rough, action) < 1e-4 < float(jitter.square().mean())


def test_prior_is_stiffer_the_less_tempos_differ():
    found = []
    for strength in (0.0, 0.3, 0.6, 2.0):
        signal, action, _ = _videos(strength, noise=1.0)
        found.append(_factor(signal, action))
    assert found[0] > found[1] > found[2] > found[3] == 1
    assert found[0] <= 1024


def test_clean_features_need_no_stronger_prior():
    """Where nothing but tempo differs, small tempos are no noise."""
    found = []
    for noise in (0.02, 0.8):
        signal, action, _ = _videos(0.4, noise=noise)
        found.append(_factor(signal, action))
    assert found[0] == 1 < 3 < found[1]


def test_nothing_is_concluded_from_videos_that_are_alone_or_still():
    signal, action, _ = _videos(1.0, noise=0.0)
    alone = torch.arange(len(action))
    assert _variance(signal, alone, len(alone)) == 0
    assert _factor(signal, alone) == 1
    assert _factor(torch.zeros_like(signal), action) == 1


def test_videos_in_step_are_kept_there():
    """What the stiffer prior is for: where tempos do not differ, warps fit noise."""
    signal, action, _ = _videos(0.05, noise=1.0, seed=2)
    size = {}
    for adapt in (0.0, 0.05):
        model, theta = JointModel.fit(signal, action, num_actions=2, options=JointOptions(empirical_bayes=adapt))
        size[adapt] = float((cpab_warp(theta, GRID) - GRID).abs().mean())
        assert (model.precision > 2) == (adapt > 0)
        assert model.options.smoothness == pytest.approx(model.precision * JointOptions().smoothness)
    assert size[0.05] < 0.5 * size[0.0]
    assert JointModel.from_state(model.state()).precision == model.precision
