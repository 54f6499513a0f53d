"""D-MTAE as a whole: types, ends, recurrences, gradients of the losses it is trained with."""

import pytest
import torch

from tpl_lightning.functional.losses.tpl import icae_loss, reconstruction_loss
from tpl_lightning.functional.masks import length_mask
from tpl_lightning.functional.prototypes import group_mean
from tpl_lightning.functional.resampling import resample
from tpl_lightning.functional.warps.cpab import cpab_warp, warp_time
from tpl_lightning.nn import DMTAE
from tpl_lightning.nn.autoencoder import standardise

LENGTHS, POINTS, ACTION = torch.tensor([30, 12, 21]), torch.tensor([18, 10, 18]), torch.tensor([0, 1, 0])


def _model(std=0.5, **options):
    torch.manual_seed(0)
    model = DMTAE(4, **{"hidden": 6, "aligner_filters": 3, "aligner_depth": 3, **options})
    if std:
        torch.nn.init.normal_(model.aligner.head.weight, std=std)
    return model


def _videos(dtype=torch.float32):
    return torch.randn(3, 30, 4, generator=torch.Generator().manual_seed(1), dtype=dtype)


def _loss(model, out, videos):
    mask = length_mask(POINTS, out.aligned_latent.shape[1])
    prototype = group_mean(out.aligned_latent, ACTION, mask, num_actions=2)
    icae = icae_loss(out.latent, out.position, prototype, ACTION, LENGTHS, POINTS)
    last = model.decoder.out
    return icae + reconstruction_loss(out.hidden, last.weight, last.bias, videos, LENGTHS)


@pytest.mark.parametrize("options", [{}, {"latent_dim": 3, "recurrences": 3}])
def test_shapes(options):
    model = _model(**options)
    out = model(_videos(), LENGTHS, POINTS)
    channels, recurrences = options.get("latent_dim", 1), options.get("recurrences", 1)
    assert [tuple(x.shape) for x in out] == [
        (3, 30, channels),
        (3, recurrences, 15),
        (3, 18, channels),
        (3, 18),
        (3, 30),
        (3, 30, 6),
    ]
    assert model.reconstruct(out.hidden).shape == (3, 30, 4)


@pytest.mark.parametrize("options", [{}, {"latent_dim": 2, "recurrences": 2}, {"num_cells": [4, 8, 16]}])
def test_the_losses_train_every_weight(options):
    model, videos = _model(**options), _videos()
    _loss(model, model(videos, LENGTHS, POINTS), videos).backward()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 1e-7, name


def test_the_gradient_of_the_losses_equals_a_finite_difference():
    """Through encoder, aligner, composed warps, prototypes and decoder at once."""
    model, videos = _model(latent_dim=2, recurrences=2, std=0.2).double(), _videos(torch.float64)
    out = model(videos, LENGTHS, POINTS)
    assert {x.dtype for x in out} == {torch.float64}
    _loss(model, out, videos).backward()
    generator = torch.Generator().manual_seed(2)
    for part in (model.encoder, model.aligner, model.decoder):
        step = [1e-7 * torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in part.parameters()]
        slope = sum((p.grad * s).sum() for p, s in zip(part.parameters(), step, strict=True))
        ends = []
        with torch.no_grad():
            for sign in (1, -2):
                for p, s in zip(part.parameters(), step, strict=True):
                    p.add_(sign * s)
                ends.append(_loss(model, model(videos, LENGTHS, POINTS), videos))
            for p, s in zip(part.parameters(), step, strict=True):
                p.add_(s)
        # Piecewise linear sampling and maxima have kinks; a small step seldom meets one.
        torch.testing.assert_close(slope, (ends[0] - ends[1]) / 2, rtol=1e-4, atol=1e-12)


def test_starts_from_linear_rescaling():
    out = _model(std=0)(_videos(), LENGTHS, POINTS)
    assert out.theta.abs().max() < 0.02
    for i, (length, points) in enumerate(zip(LENGTHS.tolist(), POINTS.tolist(), strict=True)):
        grid, frames = torch.linspace(0, 1, points), torch.linspace(0, 1, length)
        torch.testing.assert_close(out.source_position[i, :points], grid, atol=0.01, rtol=0)
        torch.testing.assert_close(out.position[i, :length], frames, atol=0.01, rtol=0)


def test_recurrences_compose():
    """The first warp is the outermost: T = T_1 ∘ T_2 ∘ T_3, each from what the earlier ones have warped."""
    model = _model(recurrences=3, latent_dim=2).double().eval()
    seen = []
    model.aligner.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    out = model(_videos(torch.float64), LENGTHS, POINTS)
    first, second, third = out.theta.unbind(1)
    grid = (torch.arange(18).double() / (POINTS[:, None] - 1)).clamp(max=1)
    torch.testing.assert_close(seen[0], resample(out.latent, grid, LENGTHS))
    torch.testing.assert_close(seen[1], resample(out.latent, cpab_warp(first, grid), LENGTHS))
    torch.testing.assert_close(seen[2], resample(out.latent, cpab_warp(first, cpab_warp(second, grid)), LENGTHS))
    whole = cpab_warp(first, cpab_warp(second, cpab_warp(third, grid)))
    torch.testing.assert_close(out.source_position, whole)
    for i in range(3):
        assert (first[i] - second[i]).abs().max() > 1e-3


@pytest.mark.parametrize("options", [{}, {"recurrences": 3}, {"num_cells": [4, 8, 16]}])
def test_times_rise_from_0_to_1_and_invert_each_other(options):
    # In float64: warps as these have slopes that float32 could not undo.
    model = _model(**options).double()
    with torch.no_grad():
        out = model(_videos(torch.float64), LENGTHS, POINTS)
    assert (out.theta.abs().amax((1, 2)) > 0.3).all()
    for i, (length, points) in enumerate(zip(LENGTHS.tolist(), POINTS.tolist(), strict=True)):
        for times, count in ((out.source_position[i], points), (out.position[i], length)):
            assert (float(times[0]), float(times[count - 1])) == (0.0, 1.0)
            assert (times[:count].diff() > 0).all()
            assert (times[count:] == 1).all()
    back = model.warp(out.theta, out.position)
    frames = (torch.arange(30).double() / (LENGTHS[:, None] - 1)).clamp(max=1)
    torch.testing.assert_close(back, frames, atol=1e-8, rtol=0)


def test_training_under_autocast_keeps_time_in_float32():
    model, videos = _model(recurrences=2, std=0.05), _videos()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(videos, LENGTHS, POINTS)
        loss = _loss(model, out, videos)
    assert {x.dtype for x in (*out, loss)} == {torch.float32}
    assert (out.source_position[:, 0] == 0).all()
    assert (out.source_position[:, -1] == 1).all()
    loss.backward()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name
    # bfloat16 has 8 bits: times that had passed through it would be off by up to 1/512.
    frames = (torch.arange(30) / (LENGTHS[:, None] - 1)).clamp(max=1)
    torch.testing.assert_close(model.warp(out.theta, out.position), frames, atol=1e-5, rtol=0)


def test_videos_and_prototypes_of_one_frame():
    lengths, points = torch.tensor([30, 1, 1]), torch.tensor([18, 18, 1])
    model = _model()
    out = model(_videos(), lengths, points)
    (_loss(model, out, _videos()) + sum(x.square().sum() for x in out)).backward()
    assert all(torch.isfinite(x).all() for x in out)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    assert out.position[1, 0] == 0


@pytest.mark.parametrize("options", [{}, {"latent_dim": 3, "recurrences": 3}, {"num_cells": [4, 8]}])
def test_nothing_depends_on_padding_or_other_videos(options):
    model = _model(**options).double()  # in float32 three warps in a row blow rounding up to 3e-5
    videos = _videos(torch.float64)  # padding holds noise
    lengths, points = torch.tensor([30, 17, 2]), torch.tensor([20, 25, 20])
    together = model(videos, lengths, points)
    for i, (length, size) in enumerate(zip(lengths.tolist(), points.tolist(), strict=True)):
        alone = model(videos[i : i + 1, :length], lengths[i : i + 1], points[i : i + 1])
        torch.testing.assert_close(together.theta[i], alone.theta[0], atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(together.position[i, :length], alone.position[0], atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(together.source_position[i, :size], alone.source_position[0], atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(together.hidden[i, :length], alone.hidden[0], atol=1e-7, rtol=1e-7)


def test_it_follows_its_equations():
    model = _model(latent_dim=2, recurrences=2).eval()
    video, length, points = _videos()[:1], LENGTHS[:1], torch.tensor([25])
    out = model(video, length, points)
    grid, frames = torch.linspace(0, 1, 25)[None], torch.linspace(0, 1, 30)[None]
    latent = standardise(model.encoder(video, length), length)
    first = model.aligner(resample(latent, grid, length), points)
    seen = resample(latent, warp_time(first[:, None], grid), length)
    theta = torch.stack([first, model.aligner(seen, points)], 1)
    torch.testing.assert_close(out.theta, theta)
    torch.testing.assert_close(out.source_position, warp_time(theta, grid))
    torch.testing.assert_close(out.position, warp_time(theta, frames, inverse=True))
    torch.testing.assert_close(out.aligned_latent, resample(latent, out.source_position, length))
    decoded = model.decoder(out.aligned_latent, points)
    torch.testing.assert_close(model.reconstruct(out.hidden), resample(decoded, out.position, points))
    torch.testing.assert_close(warp_time(theta, out.position), frames, atol=1e-4, rtol=0)
