"""D-MTAE: the diffeomorphic multitasking autoencoder (Naaman, Shapira Weber, Freifeld, ICCV 2025, section 4)."""

from typing import NamedTuple

import torch
from torch import Tensor

from tpl_lightning.functional.masks import length_mask
from tpl_lightning.functional.resample import resample
from tpl_lightning.nn.inception import InceptionTime
from tpl_lightning.nn.tcn import TCN
from tpl_lightning.nn.warp_network import WarpNetwork, full_precision

__all__ = ["DMTAE", "DMTAEOutput", "standardise"]


class DMTAEOutput(NamedTuple):
    """What D-MTAE says of a batch of B videos of up to T frames; P points of the longest prototype among them.

    Convention: times are in [0, 1]. T^theta maps prototype time to video time.
    """

    latent: Tensor
    """(B, T, D) Z_i, of mean 0 and variance 1 over each video's frames; 0 where padded."""
    theta: Tensor
    """(B, R, d) one warp for each recurrence."""
    aligned_latent: Tensor
    """(B, P, D) Z~_i = Z_i ∘ T^theta_i."""
    source_position: Tensor
    """(B, P) T^theta_i at the prototype points j / (L - 1); 1 beyond the prototype's end."""
    position: Tensor
    """(B, T) T^-theta_i at the frames u / (L_i - 1); 1 where padded."""
    hidden: Tensor
    """(B, T, H) what the decoder's last map makes Dec(Z~_i) ∘ T^-theta_i of; see :meth:`DMTAE.reconstruct`."""


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


class DMTAE(WarpNetwork):
    """TCN encoder, InceptionTime aligner, TCN decoder.

    Args:
        num_channels: Channels C of the embeddings.
        latent_dim: Channels D of the latent Z (the paper: 1).
        hidden: Channels inside the TCNs.
        kernel_size: Frames, odd.
        aligner_filters: Filters per Inception branch.
        aligner_depth: Inception modules.
        dropout: Inside the TCNs.
        num_cells: See :class:`~tpl_lightning.nn.warp_network.WarpNetwork`.
        recurrences: See there.
        backend: See there.
    """

    def __init__(
        self,
        num_channels: int,
        *,
        latent_dim: int = 1,
        hidden: int = 64,
        kernel_size: int = 5,
        aligner_filters: int = 16,
        aligner_depth: int = 6,
        dropout: float = 0.0,
        num_cells: int | list[int] = 16,
        recurrences: int = 1,
        backend: str = "torch",
    ) -> None:
        """Build the three networks."""
        super().__init__(num_cells, recurrences, backend)
        sizes = {"hidden": hidden, "kernel_size": kernel_size, "dropout": dropout}
        self.encoder = TCN(num_channels, latent_dim, offset=False, **sizes)  # type: ignore[arg-type]
        self.decoder = TCN(latent_dim, num_channels, **sizes)  # type: ignore[arg-type]
        self.aligner = InceptionTime(latent_dim, self.num_parameters, filters=aligner_filters, depth=aligner_depth)

    def forward(
        self, embeddings: Tensor, lengths: Tensor, prototype_length: Tensor, points: int | None = None
    ) -> DMTAEOutput:
        """Encode, align and decode.

        Args:
            embeddings: (B, T, C), padded at the end.
            lengths: (B,) frames of each video.
            prototype_length: (B,) points L of the prototype of each video's action.
            points: P, the longest of these; None: looked up, which waits for the device.
        """
        latent = standardise(full_precision(self.encoder(embeddings, lengths)), lengths)
        theta = self.predict_theta(latent, lengths, prototype_length, points=points)
        source_position, position = self.time_maps(
            theta, lengths, prototype_length, frames=embeddings.shape[1], points=points
        )
        aligned = resample(latent, source_position, lengths)
        hidden = full_precision(self.decoder(aligned, prototype_length, last=False))
        return DMTAEOutput(
            latent=latent,
            theta=theta,
            aligned_latent=aligned,
            source_position=source_position,
            position=position,
            hidden=resample(hidden, position, prototype_length),
        )

    def reconstruct(self, hidden: Tensor) -> Tensor:
        """Return Dec(Z~_i) ∘ T^-theta_i, (B, T, C), from ``DMTAEOutput.hidden``.

        The decoder's last map is linear, so Dec(Z~) ∘ T^-theta is that map of its hidden channels ∘ T^-theta: the same
        numbers, and far fewer to resample where embeddings have hundreds of channels.
        """
        return full_precision(self.decoder.out(hidden))
