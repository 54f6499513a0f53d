"""Convolution and maxima over frames against torch's own for channels ahead of time."""

import pytest
import torch
import torch.nn.functional as F

from tpl_lightning.nn.frame_conv import FrameConv, max_pool_frames


@pytest.mark.parametrize("options", [{}, {"dilation": 4}, {"bias": False}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 5])
def test_it_is_conv1d_in_value_and_gradient(options, dtype, size):
    torch.manual_seed(0)
    layer = FrameConv(6, 4, size, **options).to(dtype)
    x = torch.randn(3, 20, 6, dtype=dtype, requires_grad=True)
    found = layer(x)
    assert found.is_contiguous()  # nothing to copy for what works on channels
    dilation = options.get("dilation", 1)
    expected = F.conv1d(x.mT, layer.weight, layer.bias, padding="same", dilation=dilation).mT
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    leaves = (x, *layer.parameters())
    for one, other in zip(
        torch.autograd.grad(found.square().sum(), leaves),
        torch.autograd.grad(expected.square().sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 9])
def test_maxima_are_those_of_max_pool1d(frames):
    x = torch.randn(2, frames, 3)
    torch.testing.assert_close(max_pool_frames(x, 3), F.max_pool1d(x.mT, 3, stride=1, padding=1).mT, atol=0, rtol=0)
