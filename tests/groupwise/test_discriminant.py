"""The space of comparison: energy of derivatives, the projection against SciPy's generalised eigenvectors."""

import numpy as np
import pytest
import scipy.linalg
import torch

from tpl_lightning.functional.smoothing import smoothed
from tpl_lightning.groupwise.discriminant import DiscriminantSpace, channel_energy, discriminant_projection


def _aligned(count=9, points=40, channels=5, seed=0, noise=0.7):
    """Videos (N, G, C) of one smooth signal each of two actions, with noise of their own that channels share."""
    generator = torch.Generator().manual_seed(seed)
    shared = smoothed(torch.randn(2, points, channels, generator=generator, dtype=torch.float64), 0.05, points)
    mix = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    action = torch.arange(count) % 2
    own = torch.randn(count, points, channels, generator=generator, dtype=torch.float64) @ mix
    return shared[action] + noise * own, action


def _slow_covariances(aligned, action, cover):
    """T and S by loops over pairs of different videos and points, (C, C) each; actions count by their videos."""
    total = signal = 0.0
    for label in action.unique().tolist():
        rows = np.flatnonzero(action.numpy() == label)
        weights = {i: cover[i, :, 0].numpy() for i in rows}
        values = {i: aligned[i].numpy() - np.average(aligned[i].numpy(), axis=0, weights=weights[i]) for i in rows}
        within = between = pairs = 0.0
        for i in rows:
            for j in rows:
                if i != j:
                    both = (weights[i] * weights[j])[:, None]
                    within += (both * values[i]).T @ values[i]
                    between += (both * values[i]).T @ values[j]
                    pairs += both.sum()
        total += len(rows) * within / pairs
        signal += len(rows) * between / pairs
    return total / len(action), (signal + signal.T) / 2 / len(action)


@pytest.mark.parametrize("is_covered", [False, True])
@pytest.mark.parametrize("shrinkage", [0.1, 0.5])
def test_it_whitens_noise_and_weights_axes_by_their_share_of_signal(is_covered, shrinkage):
    """W' N W = diag(s / (s + 1/n)) with s the generalised eigenvalues of S and N, and W' S W is s times that."""
    aligned, action = _aligned()
    cover = torch.ones(9, 40, 1, dtype=torch.float64)
    if is_covered:
        cover = torch.rand(cover.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = discriminant_projection(
        aligned, action, num_actions=2, channels=5, shrinkage=shrinkage, videos=7.0, cover=cover if is_covered else None
    ).numpy()
    total, signal = _slow_covariances(aligned, action, cover)
    noise = total - signal
    noise = (1 - shrinkage) * noise + shrinkage * np.diagonal(noise).mean() * np.eye(5)
    ratio = scipy.linalg.eigvalsh(signal, noise).clip(min=0)
    weight = ratio / (ratio + 1 / 7)
    np.testing.assert_allclose(found.T @ noise @ found, np.diag(weight), atol=1e-5)
    np.testing.assert_allclose(found.T @ signal @ found, np.diag(weight * ratio), atol=1e-4)
    assert weight[-1] > 0.5


def test_the_axes_with_most_signal_are_kept():
    aligned, action = _aligned()
    whole = discriminant_projection(aligned, action, num_actions=2, channels=5)
    some = discriminant_projection(aligned, action, num_actions=2, channels=2)
    torch.testing.assert_close(some, whole[:, 3:])


def test_videos_that_are_alone_tell_nothing():
    aligned, _ = _aligned(3)
    found = discriminant_projection(aligned, torch.arange(3), num_actions=3, channels=5)
    torch.testing.assert_close(found, torch.eye(5, dtype=torch.float64))


@pytest.mark.parametrize("derivative", [0.0, 0.3])
def test_derivatives_have_their_share_of_the_energy(derivative):
    features = _aligned(6)[0]
    features = features / features.square().sum(-1).mean().sqrt()
    space, both = DiscriminantSpace(derivative, 0.02).fit(features)
    assert both.shape[-1] == (10 if derivative else 5)
    energy = both.square().sum(-1).mean()
    assert float(both[..., 5:].square().sum(-1).mean() / energy) == pytest.approx(derivative, abs=1e-9)
    slope = torch.from_numpy(np.gradient(smoothed(features, 0.02, 40).numpy(), axis=1))  # up to its scale
    if derivative:
        found, expected = both[:, 1:-1, 5:].flatten(), slope[:, 1:-1].flatten()
        assert float(torch.corrcoef(torch.stack([found, expected]))[0, 1]) > 0.99
    torch.testing.assert_close(space(features), both)


def test_the_space_has_training_videos_of_variance_1_and_no_video_changes_another():
    features, action = _aligned()
    space, plain = DiscriminantSpace(0.5, 0.02).fit(features)
    space = space.with_metric(plain, action, num_actions=2, channels=4)
    found = space(features)
    assert found.shape == (9, 40, 4)
    assert float(found.var(1, correction=0).sum(-1).mean()) == pytest.approx(1.0)
    torch.testing.assert_close(space.in_metric(plain), found)
    for i in range(9):
        torch.testing.assert_close(space(features[i : i + 1])[0], found[i])


@pytest.mark.parametrize("has_metric", [False, True])
def test_a_space_survives_its_state(has_metric):
    features, action = _aligned()
    space, plain = DiscriminantSpace(0.5, 0.02).fit(features)
    if has_metric:
        space = space.with_metric(plain, action, num_actions=2, channels=4)
    assert torch.equal(DiscriminantSpace.from_state(space.state())(features), space(features))


def test_the_energy_of_a_channel_is_its_mean_variance_over_time():
    signal = _aligned()[0]
    expected = [np.mean([np.var(signal[i, :, c].numpy()) for i in range(9)]) for c in range(5)]
    np.testing.assert_allclose(channel_energy(signal).numpy(), expected, rtol=1e-9)
