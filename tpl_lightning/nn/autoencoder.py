"""Encoder and decoder of D-MTAE, and the standardisation of latents between them."""

from typing import Any

import torch
from torch import Tensor, nn

from tpl_lightning.functional import length_mask
from tpl_lightning.nn.encoders import LinearEncoder, PerAction
from tpl_lightning.nn.tcn import TCN
from tpl_lightning.nn.warp_network import WarpNetwork, full_precision


def standardise(latent: Tensor, lengths: Tensor) -> Tensor:
    """Bring each channel of each video to mean 0 and variance 1 over its frames; (B, T, D), padding 0.

    The scale of Z is free otherwise: the ICAE falls when the encoder shrinks Z and the decoder grows.
    """
    mask = length_mask(lengths, latent.shape[1]).unsqueeze(-1)
    count = lengths.view(-1, 1, 1)
    latent = latent * mask
    centred = (latent - latent.sum(1, keepdim=True) / count) * mask
    variance = centred.square().sum(1, keepdim=True) / count
    return centred * torch.rsqrt(variance + 1e-6)


class Autoencoder(WarpNetwork):
    """Encoder and decoder of D-MTAE, one for all actions or one for each.

    Args:
        num_channels: Channels C of the embeddings.
        latent_dim: Channels D of the latent Z (the paper: 1).
        encoder: ``tcn`` (the paper), or ``linear``, which starts at the identity.
        latent_norm: ``video``: mean 0 and variance 1 of each channel of each video; ``total``: as it comes.
        hidden: Channels inside the TCNs.
        kernel_size: Frames, odd.
        padding: ``zeros`` or ``replicate``, see :class:`~tpl_lightning.nn.frame_conv.FrameConv`.
        dropout: Inside the TCNs.
        num_actions: A.
        per_action: Whether each action has networks of its own.
        num_cells: See :class:`~tpl_lightning.nn.warp_network.WarpNetwork`.
        recurrences: See there.
        backend: See there.

    Example:
        >>> [name for name, _ in Autoencoder(6, hidden=8, kernel_size=3).named_children()]
        ['encoder', 'decoder']
    """

    def __init__(
        self,
        num_channels: int,
        *,
        latent_dim: int = 1,
        encoder: str = "tcn",
        latent_norm: str = "video",
        hidden: int = 64,
        kernel_size: int = 5,
        padding: str = "zeros",
        dropout: float = 0.0,
        num_actions: int = 1,
        per_action: bool = False,
        num_cells: int | list[int] = 16,
        recurrences: int = 1,
        backend: str = "torch",
    ) -> None:
        """Build the networks."""
        super().__init__(num_cells, recurrences, backend)
        self.latent_dim, self.latent_norm = latent_dim, latent_norm
        self.copies = num_actions if per_action else 0
        sizes: dict[str, Any] = {"hidden": hidden, "kernel_size": kernel_size, "dropout": dropout}
        sizes["replicate"] = padding == "replicate"

        def make_encoder() -> nn.Module:
            if encoder == "linear":
                return LinearEncoder(num_channels, latent_dim)
            return TCN(num_channels, latent_dim, offset=False, **sizes)

        self.encoder = self._each(make_encoder)
        self.decoder = self._each(lambda: TCN(latent_dim, num_channels, **sizes))

    def _each(self, make: Any) -> nn.Module:
        """Return one network for all actions, or one for each."""
        return PerAction([make() for _ in range(self.copies)]) if self.copies else make()

    def _run(self, network: nn.Module, x: Tensor, lengths: Tensor, action: Tensor | None, **options: Any) -> Tensor:
        if self.copies:
            options["action"] = action
        found: Tensor = network(x, lengths, **options)
        return full_precision(found)

    def encode(self, embeddings: Tensor, lengths: Tensor, action: Tensor | None = None) -> Tensor:
        """Return Z (B, T, D) of embeddings (B, T, C)."""
        latent = self._run(self.encoder, embeddings, lengths, action)
        return standardise(latent, lengths) if self.latent_norm == "video" else latent

    def last_maps(self, action: Tensor | None) -> list[tuple[Tensor | slice, nn.Linear]]:
        """Return the decoders' last maps, each with the videos of the batch that it is for."""
        if not isinstance(self.decoder, PerAction):
            return [(slice(None), self.decoder.out)]  # type: ignore[list-item]
        assert action is not None, "each action has its own decoder"
        rows = self.decoder.rows(action)
        return [(rows[i], network.out) for i, network in enumerate(self.decoder.networks)]  # type: ignore[misc]

    def reconstruct(self, hidden: Tensor, action: Tensor | None = None) -> Tensor:
        """Return Dec(Z~_i) ∘ T^-theta_i, (B, T, C), from ``DMTAEOutput.hidden``.

        The decoder's last map is linear, so Dec(Z~) ∘ T^-theta is that map of its hidden channels ∘ T^-theta: the same
        numbers, and far fewer to resample where embeddings have hundreds of channels.
        """
        maps = self.last_maps(action)
        found = hidden.new_zeros(*hidden.shape[:2], maps[0][1].out_features)
        for rows, last in maps:
            found[rows] = full_precision(last(hidden[rows]))
        return found
