"""Latents of videos: standardised over their own frames, networks for each action, the decoder's last map."""

import pytest
import torch

from tpl_lightning.nn.autoencoder import Autoencoder, standardise

LENGTHS = torch.tensor([30, 12, 21])
ACTION = torch.tensor([0, 1, 0])


def _videos(channels):
    return torch.randn(3, 30, channels, generator=torch.Generator().manual_seed(1))


def test_standardise_per_video_and_channel():
    done = standardise(_videos(3), LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(done[i, :length].mean(0), torch.zeros(3), atol=1e-5, rtol=0)
        torch.testing.assert_close(done[i, :length].var(0, unbiased=False), torch.ones(3), atol=1e-3, rtol=0)
        assert done[i, length:].abs().sum() == 0
    assert torch.isfinite(standardise(torch.ones(1, 5, 1), torch.tensor([5]))).all()


@pytest.mark.parametrize("encoder", ["tcn", "linear"])
def test_each_action_has_networks_of_its_own(encoder):
    torch.manual_seed(0)
    model = Autoencoder(4, encoder=encoder, latent_dim=2, hidden=6, kernel_size=3, num_actions=2, per_action=True)
    together = model.encode(_videos(4), LENGTHS, ACTION)
    for i, action in enumerate(ACTION.tolist()):
        network = model.encoder.networks[action]
        alone = standardise(network(_videos(4)[i : i + 1], LENGTHS[i : i + 1]), LENGTHS[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-5)


def test_reconstruction_is_the_last_map_of_the_hidden_channels():
    torch.manual_seed(0)
    model = Autoencoder(4, hidden=6, kernel_size=3, num_actions=2, per_action=True)
    hidden = torch.randn(3, 30, 6)
    found = model.reconstruct(hidden, ACTION)
    for i, action in enumerate(ACTION.tolist()):
        torch.testing.assert_close(found[i], model.decoder.networks[action].out(hidden[i]))
