"""D-MTAE that sees the prototype: shapes, both directions of its warps, no video depends on another."""

from dataclasses import replace

import pytest
import torch

from tpl_lightning.nn.path_aligner import COARSE
from tpl_lightning.nn.path_dmtae import PathDMTAE

LENGTHS, POINTS = torch.tensor([40, 25, 33]), torch.tensor([30, 30, 24])


def _model(**path):
    torch.manual_seed(0)
    options = {"latent_dim": 3, "encoder": "linear", "hidden": 6, "kernel_size": 3, "latent_norm": "total"}
    return PathDMTAE(3, path=replace(COARSE, derivative=0.0, **path), **options).double().eval()


def _videos():
    """Curves at paces of their own, and the prototype of each, in step with none."""
    videos = torch.zeros(3, 40, 3, dtype=torch.float64)
    for i, length in enumerate(LENGTHS.tolist()):
        progress = torch.linspace(0, 1, length, dtype=torch.float64) ** (0.8 + 0.3 * i)
        videos[i, :length] = torch.stack([torch.cos((2 + k) * 2 * progress) for k in range(3)], -1)
    progress = torch.linspace(0, 1, 128, dtype=torch.float64)
    return videos, torch.stack([torch.cos((2 + k) * 2 * progress) for k in range(3)], -1).expand(3, -1, -1)


@pytest.mark.parametrize("ends", [False, True])
def test_times_rise_and_invert_each_other(ends):
    model, (videos, prototype) = _model(ends=ends), _videos()
    with torch.no_grad():
        out = model(videos, LENGTHS, POINTS, prototype=prototype)
    assert out.theta.shape == (3, 1, 17 if ends else 15)
    for i, (length, points) in enumerate(zip(LENGTHS.tolist(), POINTS.tolist(), strict=True)):
        assert (out.source_position[i, :points].diff() > 0).all()
        assert (out.position[i, :length].diff() >= 0).all()
    frames = (torch.arange(40).double() / (LENGTHS[:, None] - 1)).clamp(max=1)
    inner = (out.position > 1e-6) & (out.position < 1 - 1e-6)
    torch.testing.assert_close(model.warp(out.theta, out.position)[inner], frames[inner], atol=1e-6, rtol=0)


def test_each_video_is_aligned_with_its_prototype_alone():
    model, (videos, prototype) = _model(), _videos()
    with torch.no_grad():
        together = model(videos, LENGTHS, POINTS, prototype=prototype)
        expected = torch.linspace(0, 1, 40, dtype=torch.float64) ** 0.8
        torch.testing.assert_close(together.position[0], expected, atol=0.02, rtol=0)
        for i, (length, points) in enumerate(zip(LENGTHS.tolist(), POINTS.tolist(), strict=True)):
            own = slice(i, i + 1)
            alone = model(videos[own, :length], LENGTHS[own], POINTS[own], prototype=prototype[own])
            torch.testing.assert_close(together.position[i, :length], alone.position[0], atol=1e-8, rtol=0)
            torch.testing.assert_close(
                together.source_position[i, :points], alone.source_position[0], atol=1e-8, rtol=0
            )


def test_decoded_channels_are_those_of_the_aligned_latent_at_the_frames():
    model, (videos, prototype) = _model(), _videos()
    with torch.no_grad():
        out = model(videos, LENGTHS, POINTS, prototype=prototype)
        hidden = model.decode(out.latent, out.theta, LENGTHS, None)
        assert hidden.shape == (3, 40, 6)
        still = model.decode(out.latent[:1], torch.zeros_like(out.theta[:1]), LENGTHS[:1], None)
    assert (hidden[0] - still[0]).abs().max() > 1e-3  # warps move what is decoded
    assert torch.isfinite(hidden).all()
