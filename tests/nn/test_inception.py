"""InceptionTime against a plain reading of the paper, video by video, without padding."""

import pytest
import torch
import torch.nn.functional as F

from tpl_lightning.nn import InceptionTime

LENGTHS = torch.tensor([60, 23, 1])


def _network(channels=3, depth=6, std=1.0):
    torch.manual_seed(0)
    net = InceptionTime(channels, 7, filters=4, depth=depth)
    if std:
        torch.nn.init.normal_(net.head.weight, std=std)
    return net.eval()


def _signals(channels=3, dtype=torch.float32):
    # Below 0 throughout: a zero in the padding would win every maximum.
    return torch.randn(3, 60, channels, generator=torch.Generator().manual_seed(1), dtype=dtype) - 4


def _per_frame_norm(x, norm):
    return F.layer_norm(x.T, x.shape[:1], norm.weight, norm.bias).T


def _convolved(x, layer):
    return F.conv1d(x[None], layer.weight, layer.bias, padding="same")[0]


def _maxima(x):
    """The largest of each frame and its neighbours, by hand."""
    return torch.stack([x[:, max(t - 1, 0) : t + 2].max(1).values for t in range(x.shape[1])], 1)


def _slow(net, signal):
    """One signal (L, D); Ismail Fawaz et al., figure 1 and 2."""
    x = bridge = signal.T
    for number, block in enumerate(net.blocks):
        narrow = _convolved(x, block.bottleneck) if hasattr(block.bottleneck, "weight") else x
        parts = [_convolved(narrow, branch) for branch in block.branches]
        pooled = _convolved(_maxima(x), block.pooled)
        x = _per_frame_norm(torch.cat([*parts, pooled]), block.norm)
        if number % 3 == 2:
            convolution, norm = net.shortcuts[number // 3]
            x = bridge = F.relu(x + _per_frame_norm(_convolved(bridge, convolution), norm))
        else:
            x = F.relu(x)
    return net.head(x.mean(1))


@pytest.mark.parametrize(("channels", "depth"), [(1, 6), (3, 6), (3, 2), (2, 7)])
def test_equals_a_plain_implementation_whatever_the_padding(channels, depth):
    net, signals = _network(channels, depth), _signals(channels)
    assert len(net.shortcuts) == depth // 3
    assert [b.kernel_size[0] for b in net.blocks[0].branches] == [39, 19, 9]
    found = net(signals, LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(found[i], _slow(net, signals[i, :length]), atol=1e-5, rtol=1e-5)
    longer = F.pad(signals, (0, 0, 0, 30), value=7.0)
    torch.testing.assert_close(net(longer, LENGTHS), found, atol=1e-5, rtol=1e-5)


def test_starts_near_0():
    net = _network(std=0)
    assert net(_signals(), LENGTHS).abs().max() < 0.02
    assert net.head.bias.abs().max() == 0
    assert 5e-4 < net.head.weight.std() < 2e-3


def test_gradients_are_right_and_reach_every_weight():
    net = _network(depth=3).double()
    signals, lengths = _signals(dtype=torch.float64)[:2, :6].clone().requires_grad_(), torch.tensor([6, 4])
    assert torch.autograd.gradcheck(lambda s: net(s, lengths), (signals,))
    net(signals, lengths).square().sum().backward()
    assert signals.grad[1, 4:].abs().max() == 0
    for name, parameter in net.named_parameters():
        assert parameter.grad.abs().max() > 1e-6, name


def test_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = _network()(_signals(), LENGTHS)
    torch.testing.assert_close(found.float(), _network()(_signals(), LENGTHS), atol=0.3, rtol=0.1)
