"""The linear encoder's start, and networks of one action each."""

import pytest
import torch
from sklearn.decomposition import PCA

from tpl_lightning.nn.encoders import LinearEncoder, PerAction

LENGTHS = torch.tensor([9, 6, 4])


def test_a_linear_encoder_starts_at_the_identity_and_keeps_padding_0():
    encoder = LinearEncoder(5, 5)
    x = torch.randn(3, 9, 5)
    out = encoder(x, LENGTHS)
    for i, n in enumerate(LENGTHS):
        torch.testing.assert_close(out[i, :n], x[i, :n])
        assert (out[i, n:] == 0).all()


def test_with_fewer_channels_it_starts_at_the_principal_components():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 30, 6, generator=generator) @ torch.randn(6, 6, generator=generator)
    encoder = LinearEncoder(6, 2)
    encoder.start_at(x)
    centred = (x - x.mean(1, keepdim=True)).flatten(0, 1).numpy()
    axes = torch.from_numpy(PCA(2).fit(centred).components_).float()
    match = (encoder.map.weight * axes).sum(1).abs()
    torch.testing.assert_close(match, torch.ones(2), rtol=0, atol=1e-4)


def test_more_channels_than_there_are_is_refused():
    with pytest.raises(ValueError, match="out_channels"):
        LinearEncoder(3, 4)


def test_each_video_goes_through_the_network_of_its_action():
    networks = PerAction([LinearEncoder(3, 3) for _ in range(3)])
    for number, network in enumerate(networks.networks):
        torch.nn.init.constant_(network.map.weight, number + 1.0)
    x, action = torch.randn(3, 9, 3), torch.tensor([2, 0, 2])
    out = networks(x, LENGTHS, action=action)
    for i in range(3):
        alone = networks.networks[action[i]](x[i : i + 1], LENGTHS[i : i + 1])
        torch.testing.assert_close(out[i : i + 1], alone)
    out.sum().backward()
    gradients = [network.map.weight.grad for network in networks.networks]
    assert all(gradient is not None for gradient in gradients)  # of the idle one too: 0
    assert gradients[1].abs().max() == 0
    assert gradients[0].abs().max() > 0
