"""Losses and what they are made of against plain loops."""

import math

import pytest
import torch

from tests.conftest import random_tensor
from tests.tolerances import TOLERANCES
from tpl_lightning.functional.losses.tpl import annealed_weight, icae_loss, reconstruction_loss, tpl_loss, video_errors
from tpl_lightning.functional.masks import frame_times, length_mask
from tpl_lightning.functional.resampling import resample

LENGTHS, ACTION, POINTS = torch.tensor([9, 5, 7, 4]), torch.tensor([0, 2, 0, 2]), torch.tensor([6, 4, 6, 4])


def _linear_map():
    return random_tensor(5, 3, seed=2), random_tensor(5, seed=3)


def _interpolate(signal, time):
    """One value of one signal (L, C), by hand."""
    place = min(max(time, 0.0), 1.0) * (len(signal) - 1)
    low = min(int(place), len(signal) - 2)
    return signal[low] * (1 - (place - low)) + signal[low + 1] * (place - low)


def test_icae_equals_a_loop():
    """Equation [3], frame by frame."""
    latent, position = random_tensor(4, 9, 2), random_tensor(4, 9).abs().clamp(max=1)
    prototype = random_tensor(3, 6, 2, seed=1)
    total = 0.0
    for i in range(4):
        curve = prototype[ACTION[i], : POINTS[i]]
        errors = [((_interpolate(curve, float(position[i, u])) - latent[i, u]) ** 2).sum() for u in range(LENGTHS[i])]
        total += sum(errors) / len(errors) / 4
    torch.testing.assert_close(icae_loss(latent, position, prototype, ACTION, LENGTHS, POINTS), total)


def test_reconstruction_equals_a_loop():
    """Equation [4], video by video."""
    hidden, (weight, bias), expected = random_tensor(4, 9, 3), _linear_map(), random_tensor(4, 9, 5, seed=1)
    found = hidden @ weight.T + bias
    total = sum(((found[i, :n] - expected[i, :n]) ** 2).sum() / n for i, n in enumerate(LENGTHS.tolist())) / 4
    torch.testing.assert_close(reconstruction_loss(hidden, weight, bias, expected, LENGTHS), total)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = reconstruction_loss(hidden.float(), weight.float(), bias.float(), expected.half(), LENGTHS)
    torch.testing.assert_close(loss, total.float(), atol=0, rtol=1e-3)


def test_the_gradient_of_the_reconstruction_is_that_of_a_plain_formula():
    inputs = [x.requires_grad_() for x in (random_tensor(4, 9, 3), *_linear_map())]
    expected = random_tensor(4, 9, 5, seed=1)
    loss = 0.7 * reconstruction_loss(*inputs, expected, LENGTHS)
    hidden, weight, bias = inputs
    plain = 0.7 * video_errors(hidden @ weight.T + bias, expected, LENGTHS).mean()
    torch.testing.assert_close(loss, plain)
    found, wanted = torch.autograd.grad(loss, inputs), torch.autograd.grad(plain, inputs)
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-12)
    assert found[0][~length_mask(LENGTHS, 9)].abs().max() == 0
    assert torch.autograd.gradcheck(lambda *x: reconstruction_loss(*x, expected, LENGTHS), inputs)


@pytest.mark.parametrize("noise", [1.0, 0.1])
def test_single_precision_suffices_for_the_reconstruction(noise):
    """Also where the differences are small against what is reconstructed."""
    lengths, hidden = torch.tensor([50, 200]), random_tensor(2, 200, 16)
    weight, bias = random_tensor(96, 16, seed=1), random_tensor(96, seed=2)
    expected = hidden @ weight.T + bias + noise * random_tensor(2, 200, 96, seed=3)
    inputs = [x.requires_grad_() for x in (hidden, weight, bias)]
    singles = [x.detach().float().requires_grad_() for x in inputs]
    loss = reconstruction_loss(*inputs, expected, lengths)
    found = reconstruction_loss(*singles, expected.float(), lengths)
    torch.testing.assert_close(found.double(), loss, atol=0, rtol=1e-5 / noise**2)
    pairs = zip(torch.autograd.grad(found, singles), torch.autograd.grad(loss, inputs), strict=True)
    for single, double in pairs:
        assert float((single - double).norm() / double.norm()) < 1e-5 / noise


def test_reconstruction_knows_nothing_of_padding():
    hidden, (weight, bias), expected = random_tensor(4, 9, 3), _linear_map(), random_tensor(4, 9, 5, seed=1)
    padding = ~length_mask(LENGTHS, 9).unsqueeze(-1)
    losses = [
        reconstruction_loss(hidden.masked_fill(padding, x), weight, bias, expected.masked_fill(padding, y), LENGTHS)
        for x, y in ((0, 0), (1e4, -1e4))
    ]
    assert float(losses[0]) == float(losses[1])


def test_annealing_equals_its_formula_and_does_not_overflow():
    """Equations [5] and [6]."""
    for epoch in range(20):
        assert annealed_weight(epoch, 2.0, 10) == pytest.approx(1 / (1 + math.exp(-2 * (epoch - 10))))
    assert (annealed_weight(0, 1e6, 1e6), annealed_weight(1e6, 1e6, 0)) == (0.0, 1.0)
    assert float(tpl_loss(torch.tensor(2.0), torch.tensor(3.0), 0.5, 2.0)) == 7.0


def test_losses_know_nothing_of_padding():
    """Neither the value nor a gradient, were the padding NaN."""
    mask = length_mask(LENGTHS, 9)
    latent, position = random_tensor(4, 9, 2), random_tensor(4, 9).abs().clamp(max=1)
    prototype = random_tensor(3, 6, 2, seed=1)
    clean = icae_loss(latent, position, prototype, ACTION, LENGTHS, POINTS)
    prototype[2, 4:] = math.nan  # action 2 has 4 points
    prototype.requires_grad_()
    dirty = latent.masked_fill(~mask[..., None], math.nan).requires_grad_()
    loss = icae_loss(dirty, position, prototype, ACTION, LENGTHS, POINTS)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(clean))
    assert torch.isfinite(dirty.grad).all()
    assert dirty.grad[~mask].abs().max() == 0
    assert torch.isfinite(prototype.grad).all()


def test_loss_gradients():
    latent, prototype = random_tensor(4, 9, 2).requires_grad_(), random_tensor(3, 6, 2, seed=1).requires_grad_()
    position = (random_tensor(4, 9).abs() * 0.3 + 0.013).requires_grad_()

    def icae(latent, position, prototype):
        return icae_loss(latent, position, prototype, ACTION, LENGTHS, POINTS)

    assert torch.autograd.gradcheck(icae, (latent, position, prototype))


def test_icae_is_0_where_every_video_is_the_warped_prototype():
    """A signal linear between the prototype's points, read at any increasing times."""
    prototype = random_tensor(1, 6, 2)
    position = frame_times(LENGTHS, 9, torch.float64) ** 1.7
    latent = resample(prototype.expand(4, -1, -1), position, torch.full((4,), 6))
    zeros, six = torch.zeros(4, dtype=torch.long), torch.full((4,), 6)
    assert float(icae_loss(latent, position, prototype, zeros, LENGTHS, six)) == 0.0
    moved = icae_loss(latent, position.square(), prototype, zeros, LENGTHS, six)
    assert float(moved) > 0.01


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_icae_of_lower_precision_is_near_double(dtype):
    position = random_tensor(4, 9).abs().clamp(max=1)
    inputs = [x.to(dtype) for x in (random_tensor(4, 9, 2), position, random_tensor(3, 6, 2, seed=1))]
    found = icae_loss(*inputs, ACTION, LENGTHS, POINTS)
    assert found.dtype == torch.float32
    expected = icae_loss(*(x.double() for x in inputs), ACTION, LENGTHS, POINTS)
    torch.testing.assert_close(found.double(), expected, **TOLERANCES[dtype])
