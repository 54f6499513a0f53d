"""TCN, InceptionTime, D-MTAE: nothing of a result depends on padding or on the other videos."""

import pytest
import torch

from tpl_lightning.functional.resampling import resample
from tpl_lightning.functional.warps.cpab import warp_time
from tpl_lightning.nn import DMTAE, TCN, InceptionTime
from tpl_lightning.nn.autoencoder import standardise

LENGTHS = torch.tensor([30, 17, 2, 41])


def _videos(channels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(LENGTHS), int(LENGTHS.max()), channels, generator=generator)  # padding holds noise


def _dmtae(**options):
    torch.manual_seed(0)
    sizes = {"hidden": 8, "aligner_filters": 3, "aligner_depth": 3, **options}
    return DMTAE(5, **sizes).eval()


@pytest.mark.parametrize("network", ["tcn", "inception"])
def test_a_video_alone_equals_the_video_in_a_batch(network):
    torch.manual_seed(0)
    net = TCN(5, 4, hidden=8, kernel_size=5) if network == "tcn" else InceptionTime(5, 4, filters=3, depth=7)
    if network == "inception":
        torch.nn.init.normal_(net.head.weight)
    videos = _videos(5)
    together = net.eval()(videos, LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        alone = net(videos[i : i + 1, :length], LENGTHS[i : i + 1])[0]
        found = together[i, :length] if network == "tcn" else together[i]
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)
    if network == "tcn":
        assert together[1, 17:].abs().max() == 0


@pytest.mark.parametrize("options", [{}, {"latent_dim": 3, "recurrences": 3}, {"num_cells": [4, 8]}])
def test_dmtae_depends_on_each_video_alone(options):
    model = _dmtae(**options).double()  # in float32 three warps in a row blow rounding up to 3e-5
    torch.nn.init.normal_(model.aligner.head.weight, std=0.5)
    videos, prototype = _videos(5).double(), torch.tensor([20, 25, 20, 25])
    together = model(videos, LENGTHS, prototype)
    assert together.theta.shape[1] == max(options.get("recurrences", 1), len(options.get("num_cells", [0])))
    for i, length in enumerate(LENGTHS.tolist()):
        alone = model(videos[i : i + 1, :length], LENGTHS[i : i + 1], prototype[i : i + 1])
        points = int(prototype[i])
        torch.testing.assert_close(together.theta[i], alone.theta[0], atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(together.position[i, :length], alone.position[0], atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(together.source_position[i, :points], alone.source_position[0], atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(together.hidden[i, :length], alone.hidden[0], atol=1e-7, rtol=1e-7)


def test_dmtae_follows_its_equations():
    model = _dmtae(latent_dim=2, recurrences=2)
    torch.nn.init.normal_(model.aligner.head.weight, std=0.5)
    video, length, points = _videos(5)[3:], LENGTHS[3:], torch.tensor([25])
    out = model(video, length, points)
    grid, frames = torch.linspace(0, 1, 25)[None], torch.linspace(0, 1, 41)[None]
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


def test_dmtae_starts_from_linear_rescaling_and_trains_every_weight():
    model = _dmtae()
    out = model(_videos(5), LENGTHS, torch.full((4,), 20))
    assert (out.source_position - torch.linspace(0, 1, 20)).abs().max() < 0.02
    (
        model.reconstruct(out.hidden).square().sum() + out.aligned_latent.square().sum() + out.position.square().sum()
    ).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_warps_stay_in_float32_under_autocast():
    model = _dmtae()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(_videos(5), LENGTHS, torch.full((4,), 20))
    for name, tensor in out._asdict().items():
        assert tensor.dtype == torch.float32, name
    ends = torch.stack([out.source_position[:, 0], out.source_position[:, -1]], 1)
    assert torch.equal(ends, torch.tensor([[0.0, 1.0]]).expand(4, 2))
