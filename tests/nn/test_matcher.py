"""The matcher and its training samples: distances, convention of time, the known answer."""

from dataclasses import replace

import numpy as np
import torch

from tpl_lightning.functional.cpab import cell_slopes, cpab_warp
from tpl_lightning.functional.joint import JointOptions
from tpl_lightning.functional.joint_model import JointModel
from tpl_lightning.functional.smoothing import sample_rows
from tpl_lightning.functional.timing_space import TimingSpace
from tpl_lightning.lit.matcher import MatcherModule, Teacher, random_theta
from tpl_lightning.nn.matcher import PrototypeMatcher, cost_volume

CONFIG = {
    "matcher": {
        "size": 24,
        "width": 4,
        "depth": 2,
        "epochs": 1,
        "steps_per_epoch": 1,
        "batch_size": 4,
        "lr": 1e-3,
        "strength": 0.4,
        "noise": 0.0,
    },
    "train": {"weight_decay": 0.0},
    "direct": {"level_freedom": 0.0},
    "seed": 0,
}


def _signals(count=6, size=128):
    time = torch.linspace(0, 1, size)
    waves = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    clean = torch.cos(torch.pi * time[:, None] * torch.arange(1, 6)) @ waves
    return (clean / clean.square().sum(-1).mean().sqrt()).expand(count, -1, -1).contiguous()


def test_cost_volume_has_video_time_in_rows():
    signal = _signals(1)
    late = torch.cat([signal[:, :1].expand(-1, 64, -1), signal[:, ::2]], 1)  # waits for half of the time
    cost = cost_volume(late, signal, size=33, level_freedom=0.0)
    assert cost.shape == (1, 2, 33, 33)
    best = cost[0, 1].argmin(1)
    assert best[2:14].max() <= 2
    assert 14 <= best[24] <= 18
    slow = torch.cdist(late[0, [64]], signal[0, [0]])
    assert torch.isclose(cost[0, 1, 16, 0].sqrt(), slow[0, 0], atol=0.2)


def test_random_theta_has_the_covariance_of_the_slope_energy():
    torch.manual_seed(0)
    theta = random_theta(20000, num_cells=8, strength=torch.ones(20000, 1), like=torch.zeros(1))
    slopes = cell_slopes(torch.eye(7), num_cells=8)
    expected = torch.linalg.inv(slopes @ slopes.T / 8 + 1e-3 * torch.eye(7))
    assert torch.allclose(torch.cov(theta.T), expected, atol=0.05 * float(expected.max()))


def test_the_answer_of_a_sample_brings_video_and_prototype_together():
    clean, grid = _signals(), torch.linspace(0, 1, 128)
    theta = 0.8 * torch.randn(6, 15, generator=torch.Generator().manual_seed(1))
    theta = theta - theta.mean(0)
    position = cpab_warp(-theta, grid)
    signal = torch.stack(
        [
            torch.from_numpy(np.stack([np.interp(p, grid, c) for c in v.T.numpy()], 1))
            for p, v in zip(position, clean, strict=True)
        ]
    ).float()
    module = MatcherModule(CONFIG, Teacher(signal, position, clean, clean), 16)
    torch.manual_seed(3)
    warped, prototype, answer = module._warped(torch.arange(6))
    assert (answer - grid).abs().max() > 0.05
    for i in range(6):
        read = np.stack([np.interp(answer[i], grid, c) for c in prototype[i].T.numpy()], 1)
        assert np.abs(read - warped[i].numpy()).mean() < 0.02


def test_a_video_is_not_part_of_the_prototype_it_is_compared_with():
    signal = _signals() + 0.3 * torch.randn(6, 128, 4, generator=torch.Generator().manual_seed(2))
    action = torch.tensor([0, 0, 0, 1, 1, 2])
    model, _ = JointModel.fit(signal, action, num_actions=3, options=JointOptions(derivative=0.0))
    model = replace(model, space=TimingSpace(derivative=0.0, sigma=0.01))
    teacher = Teacher.from_fit(model, signal, torch.zeros(6, 15), action, most=128)
    assert torch.allclose(teacher.prototype[0], signal[1:3].mean(0), atol=1e-5)
    assert torch.allclose(teacher.prototype[3], signal[4], atol=1e-5)
    assert torch.allclose(teacher.prototype[5], signal[5], atol=1e-5)  # there is no other
    theta = 0.3 * torch.randn(6, 15, generator=torch.Generator().manual_seed(3))
    coarse = Teacher.from_fit(model, signal, theta, action, most=43)
    assert coarse.signal.shape == coarse.prototype.shape == (6, 43, 4)
    times = torch.linspace(0, 1, 43)
    torch.testing.assert_close(coarse.position, cpab_warp(-theta, times))
    between = torch.corrcoef(torch.stack([coarse.signal, sample_rows(signal, times.expand(6, -1))]).flatten(1))
    assert between[0, 1] > 0.9


def test_the_first_prediction_is_near_the_identity_and_gradients_reach_all():
    network = PrototypeMatcher(size=24, width=4, depth=3, num_cells=8)
    theta, path = network(torch.rand(3, 2, 24, 24))
    assert theta.shape == (3, 7)
    assert path.shape == (3, 24)
    assert theta.abs().max() < 0.5
    (theta.square().sum() + path.sum()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
