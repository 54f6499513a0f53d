"""TCN: what a frame sees, and that padding is no data."""

import pytest
import torch

from tpl_lightning.functional.masks import length_mask
from tpl_lightning.nn import TCN

LENGTHS = torch.tensor([50, 17, 1])


def _tcn(**options):
    torch.manual_seed(0)
    return TCN(3, 2, **{"hidden": 6, "kernel_size": 5, **options})


def _videos(dtype=torch.float32):
    return torch.randn(3, 50, 3, generator=torch.Generator().manual_seed(1), dtype=dtype)


@pytest.mark.parametrize(("kernel_size", "reach"), [(1, 0), (3, 7), (5, 14)])
def test_a_frame_sees_past_and_future_alike(kernel_size, reach):
    """Dilations 1, 2, 4: (k - 1) / 2 * 7 frames to each side, and none beyond."""
    videos = _videos()[:1].requires_grad_()
    _tcn(kernel_size=kernel_size)(videos, LENGTHS[:1])[0, 25].sum().backward()
    seen = videos.grad[0].abs().sum(1).nonzero().flatten()
    assert (int(seen.min()), int(seen.max())) == (25 - reach, 25 + reach)


def test_padding_neither_gives_nor_takes():
    mask, videos = length_mask(LENGTHS, 50), _videos().requires_grad_()
    net = _tcn()
    out = net(videos, LENGTHS)
    assert out[~mask].abs().max() == 0
    out.square().sum().backward()
    assert videos.grad[~mask].abs().max() == 0
    assert videos.grad[mask].abs().sum(-1).min() > 0
    other = torch.where(mask[..., None], videos, torch.full_like(videos, 1e4))
    assert torch.equal(net(other, LENGTHS), out)


def test_a_video_depends_on_neither_batch_nor_order():
    net, videos = _tcn(), _videos()
    out = net(videos, LENGTHS)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(net(videos[order], LENGTHS[order]), out[order], atol=1e-5, rtol=0)
    for i, length in enumerate(LENGTHS.tolist()):
        alone = net(videos[i : i + 1, :length], LENGTHS[i : i + 1])[0]
        torch.testing.assert_close(out[i, :length], alone, atol=1e-5, rtol=0)


def test_gradients_are_right_and_reach_every_weight():
    net = _tcn(kernel_size=3, hidden=4).double()
    videos, lengths = _videos(torch.float64)[:2, :6].clone().requires_grad_(), torch.tensor([6, 4])
    assert torch.autograd.gradcheck(lambda v: net(v, lengths), (videos,))
    net(videos, lengths).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad.abs().max() > 1e-6, name


def test_dropout_only_in_training():
    net, videos = _tcn(dropout=0.5), _videos()
    assert not torch.equal(net(videos, LENGTHS), net(videos, LENGTHS))
    net.eval()
    assert torch.equal(net(videos, LENGTHS), net(videos, LENGTHS))


def test_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = _tcn()(_videos(), LENGTHS)
    expected = _tcn()(_videos(), LENGTHS)
    assert found[1, 17:].abs().max() == 0
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.05)


def test_even_kernels_are_refused():
    with pytest.raises(ValueError, match=r"odd `kernel_size`.*got 4"):
        _tcn(kernel_size=4)
