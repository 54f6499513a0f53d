"""DTAN: shapes, starts, independence of batch and padding, gradients, half precision."""

import pytest
import torch

from tpl_lightning.functional.resampling import resample
from tpl_lightning.nn.dtan import DTAN

LENGTHS, POINTS = torch.tensor([30, 12, 21]), torch.tensor([18, 10, 18])


def _videos(dtype=torch.float32):
    return torch.randn(3, 30, 4, generator=torch.Generator().manual_seed(1), dtype=dtype)


def _dtan(std=0.5, **options):
    torch.manual_seed(0)
    model = DTAN(4, aligner_filters=3, aligner_depth=3, **options)
    torch.nn.init.normal_(model.aligner.head.weight, std=std)
    return model


@pytest.mark.parametrize("options", [{}, {"recurrences": 2}, {"num_cells": [4, 8]}])
def test_aligned_videos_are_the_videos_at_the_source_positions(options):
    model, videos = _dtan(**options).double(), _videos(torch.float64)
    with torch.no_grad():
        out = model(videos, LENGTHS, POINTS)
    assert out.theta.shape == (3, len(model.levels), model.num_parameters)
    torch.testing.assert_close(out.latent, videos)
    torch.testing.assert_close(out.aligned_latent, resample(videos, out.source_position, LENGTHS))
    for i, (length, points) in enumerate(zip(LENGTHS.tolist(), POINTS.tolist(), strict=True)):
        for times, count in ((out.source_position[i], points), (out.position[i], length)):
            assert (float(times[0]), float(times[count - 1])) == (0.0, 1.0)
            assert (times[:count].diff() > 0).all()
            assert (times[count:] == 1).all()
    assert (out.position[0, :30] - torch.linspace(0, 1, 30, dtype=torch.float64)).abs().max() > 0.01


def test_starts_from_linear_rescaling():
    out = _dtan(std=1e-3)(_videos(), LENGTHS, POINTS)
    torch.testing.assert_close(out.position[0], torch.linspace(0, 1, 30), atol=0.01, rtol=0)


def test_the_aligned_videos_train_every_weight():
    model = _dtan()
    model(_videos(), LENGTHS, POINTS).aligned_latent.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_neither_batch_nor_padding_changes_a_video():
    model, videos = _dtan(), _videos()
    together = model(videos, LENGTHS, POINTS).position
    changed = videos.clone()
    changed[1, 12:] = 1e3
    for values in (videos[1:2], changed[1:2], videos[1:2, :12]):
        alone = model(values, LENGTHS[1:2], POINTS[1:2]).position
        torch.testing.assert_close(alone[0, :12], together[1, :12], atol=1e-5, rtol=1e-5)


def test_times_stay_in_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = _dtan()(_videos(), LENGTHS, POINTS)
    assert {out.theta.dtype, out.position.dtype, out.source_position.dtype} == {torch.float32}
    torch.testing.assert_close(out.position, _dtan()(_videos(), LENGTHS, POINTS).position, atol=0.05, rtol=0)
