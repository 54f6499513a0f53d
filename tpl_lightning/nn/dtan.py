"""DTAN: the diffeomorphic temporal alignment net on the embeddings themselves, without a bottleneck.

Shapira Weber, Eyal, Skafte Detlefsen, Shriki, Freifeld, "Diffeomorphic temporal alignment nets", NeurIPS 2019;
InceptionTime as its network as in Shapira Weber, Freifeld, "Regularization-free diffeomorphic temporal alignment nets",
ICML 2023.
"""

from typing import NamedTuple

from torch import Tensor

from tpl_lightning.functional import Float, Int, resample
from tpl_lightning.nn.inception import InceptionTime
from tpl_lightning.nn.warp_network import WarpNetwork, full_precision


class DTANOutput(NamedTuple):
    """What DTAN says of a batch of B videos of up to T frames; P points of the longest prototype among them.

    Convention: times are in [0, 1]. T^theta maps prototype time to video time.

    Example:
        >>> DTANOutput._fields
        ('latent', 'theta', 'aligned_latent', 'source_position', 'position')
    """

    latent: Tensor
    """(B, T, C) U_i: the embeddings are their own latent."""
    theta: Tensor
    """(B, R, d) one warp for each recurrence."""
    aligned_latent: Tensor
    """(B, P, C) U_i ∘ T^theta_i."""
    source_position: Tensor
    """(B, P) T^theta_i at the prototype points j / (L - 1); 1 beyond the prototype's end."""
    position: Tensor
    """(B, T) T^-theta_i at the frames u / (L_i - 1); 1 where padded."""


class DTAN(WarpNetwork):
    """InceptionTime on the embeddings.

    Args:
        num_channels: Channels C of the embeddings.
        aligner_filters: Filters per Inception branch.
        aligner_depth: Inception modules.
        num_cells: See :class:`~tpl_lightning.nn.warp_network.WarpNetwork`.
        recurrences: See there.
        backend: See there.

    Example:
        >>> model = DTAN(6, aligner_filters=2, aligner_depth=3).eval()
        >>> embeddings, lengths = torch.randn(2, 30, 6), torch.tensor([30, 20])
        >>> out = model(embeddings, lengths, prototype_length=torch.tensor([25, 25]))
        >>> out.position.shape, out.source_position.shape
        (torch.Size([2, 30]), torch.Size([2, 25]))
    """

    def __init__(
        self,
        num_channels: int,
        *,
        aligner_filters: int = 16,
        aligner_depth: int = 6,
        num_cells: int | list[int] = 16,
        recurrences: int = 1,
        backend: str = "torch",
    ) -> None:
        """Build the network."""
        super().__init__(num_cells, recurrences, backend)
        self.aligner = InceptionTime(num_channels, self.num_parameters, filters=aligner_filters, depth=aligner_depth)

    def forward(
        self,
        embeddings: Float[Tensor, "B T C"],
        lengths: Int[Tensor, "B"],
        prototype_length: Int[Tensor, "B"],
        points: int | None = None,
    ) -> DTANOutput:
        """Predict the warps and align.

        Args:
            embeddings: (B, T, C), padded at the end.
            lengths: (B,) frames of each video.
            prototype_length: (B,) points L of the prototype of each video's action.
            points: P, the longest of these; None: looked up, which waits for the device.
        """
        embeddings = full_precision(embeddings)
        theta = self.predict_theta(embeddings, lengths, prototype_length, points=points)
        source, position = self.time_maps(theta, lengths, prototype_length, frames=embeddings.shape[1], points=points)
        return DTANOutput(
            latent=embeddings,
            theta=theta,
            aligned_latent=resample(embeddings, source, lengths),
            source_position=source,
            position=position,
        )
