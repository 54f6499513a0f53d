"""D-MTAE: the diffeomorphic multitasking autoencoder (Naaman, Shapira Weber, Freifeld, ICCV 2025, section 4).

Its aligner sees the latent of a video; that of :class:`~tpl_lightning.nn.path_dmtae.PathDMTAE` sees the prototype as
well. Encoder, decoder and losses are the same.
"""

from typing import Any, NamedTuple

from torch import Tensor

from tpl_lightning.functional import Float, Int, resample
from tpl_lightning.nn.autoencoder import Autoencoder
from tpl_lightning.nn.inception import InceptionTime


class DMTAEOutput(NamedTuple):
    """What D-MTAE says of a batch of B videos of up to T frames; P points of the longest prototype among them.

    Convention: times are in [0, 1]. T^theta maps prototype time to video time.

    Example:
        >>> DMTAEOutput._fields
        ('latent', 'theta', 'aligned_latent', 'source_position', 'position', 'hidden')
    """

    latent: Tensor
    """(B, T, D) Z_i at the frames; 0 where padded."""
    theta: Tensor
    """(B, R, d) one warp for each recurrence."""
    aligned_latent: Tensor
    """(B, P, D) Z~_i = Z_i ∘ T^theta_i; of :class:`PathDMTAE` what is compared, (B, G, F) on the shared grid."""
    source_position: Tensor
    """(B, P) T^theta_i at the prototype points j / (L - 1); 1 beyond the prototype's end."""
    position: Tensor
    """(B, T) T^-theta_i at the frames u / (L_i - 1); 1 where padded."""
    hidden: Tensor
    """(B, T, H) what the decoder's last map makes Dec(Z~_i) ∘ T^-theta_i of; see :meth:`Autoencoder.reconstruct`.
    Empty, (B, T, 0), of :class:`PathDMTAE`, whose decoder is run by itself."""


class DMTAE(Autoencoder):
    """TCN encoder, InceptionTime aligner, TCN decoder.

    Args:
        num_channels: Channels C of the embeddings.
        aligner_filters: Filters per Inception branch.
        aligner_depth: Inception modules.
        options: Of :class:`Autoencoder`.

    Example:
        >>> model = DMTAE(6, hidden=8, aligner_filters=2, aligner_depth=3).eval()
        >>> embeddings, lengths = torch.randn(2, 30, 6), torch.tensor([30, 20])
        >>> out = model(embeddings, lengths, prototype_length=torch.tensor([25, 25]))
        >>> out.latent.shape, out.position.shape, out.source_position.shape
        (torch.Size([2, 30, 1]), torch.Size([2, 30]), torch.Size([2, 25]))
    """

    def __init__(self, num_channels: int, *, aligner_filters: int = 16, aligner_depth: int = 6, **options: Any) -> None:
        """Build the three networks."""
        super().__init__(num_channels, **options)
        self.aligner = self._each(  # type: ignore[assignment]
            lambda: InceptionTime(self.latent_dim, self.num_parameters, filters=aligner_filters, depth=aligner_depth)
        )

    def forward(
        self,
        embeddings: Float[Tensor, "B T C"],
        lengths: Int[Tensor, "B"],
        prototype_length: Int[Tensor, "B"],
        points: int | None = None,
        action: Int[Tensor, "B"] | None = None,
    ) -> DMTAEOutput:
        """Encode, align and decode.

        Args:
            embeddings: (B, T, C), padded at the end.
            lengths: (B,) frames of each video.
            prototype_length: (B,) points L of the prototype of each video's action.
            points: P, the longest of these; None: looked up, which waits for the device.
            action: (B,) number of each video's action; needed where each has its own networks.
        """
        latent = self.encode(embeddings, lengths, action)
        theta = self.predict_theta(latent, lengths, prototype_length, points=points, action=action)
        source_position, position = self.time_maps(
            theta, lengths, prototype_length, frames=embeddings.shape[1], points=points
        )
        aligned = resample(latent, source_position, lengths)
        hidden = self._run(self.decoder, aligned, prototype_length, action, last=False)
        return DMTAEOutput(
            latent=latent,
            theta=theta,
            aligned_latent=aligned,
            source_position=source_position,
            position=position,
            hidden=resample(hidden, position, prototype_length),
        )
