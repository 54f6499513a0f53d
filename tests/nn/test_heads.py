"""The embedding head: unit vectors, independence of batch and padding, gradients, half precision."""

import pytest
import torch

from tpl_lightning.nn.heads import EmbeddingHead

LENGTHS = torch.tensor([30, 12, 21])


def _head(**options):
    torch.manual_seed(0)
    return EmbeddingHead(4, **{"channels": 5, "hidden": 6, **options}).eval()


def _videos(dtype=torch.float32):
    return torch.randn(3, 30, 4, generator=torch.Generator().manual_seed(1), dtype=dtype)


def test_frames_are_unit_vectors_and_padding_is_0():
    out = _head()(_videos(), LENGTHS)
    assert out.shape == (3, 30, 5)
    for i, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(out[i, :length].norm(dim=-1), torch.ones(length))
        assert (out[i, length:] == 0).all()


def test_zeros_have_no_direction_but_a_finite_gradient():
    head = _head()
    head(torch.zeros(1, 3, 4), torch.tensor([2])).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


def test_neither_batch_nor_padding_changes_a_video():
    head, videos = _head(), _videos()
    together = head(videos, LENGTHS)
    changed = videos.clone()
    changed[1, 12:] = 1e3
    for values in (videos[1:2], changed[1:2], videos[1:2, :12]):
        torch.testing.assert_close(head(values, LENGTHS[1:2])[0, :12], together[1, :12], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kernel_size", "reach"), [(1, 0), (3, 7)])
def test_a_frame_sees_as_far_as_its_kernels(kernel_size, reach):
    videos = _videos()[:1].requires_grad_()
    _head(kernel_size=kernel_size)(videos, LENGTHS[:1])[0, 15, 0].backward()
    seen = videos.grad[0].abs().sum(1).nonzero().flatten()
    assert (int(seen.min()), int(seen.max())) == (15 - reach, 15 + reach)


def test_gradients_equal_finite_differences():
    head = _head(hidden=4, channels=3).double()
    videos = _videos(torch.float64)[:2, :6].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: head(v, torch.tensor([6, 4])), (videos,))
    head(videos, torch.tensor([6, 4]))[..., 0].sum().backward()
    assert all(p.grad.abs().max() > 1e-6 for p in head.parameters())


def test_lengths_are_1_under_autocast_too():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = _head()(_videos(), LENGTHS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[0].norm(dim=-1), torch.ones(30))
    torch.testing.assert_close(found, _head()(_videos(), LENGTHS), atol=0.05, rtol=0)
