"""D-MTAE: the diffeomorphic multitasking autoencoder (Naaman, Shapira Weber, Freifeld, ICCV 2025, section 4).

Two aligners: the paper's, which sees the latent of a video (:class:`DMTAE`), and one that sees the latent prototype as
well (:class:`PathDMTAE`). Encoder, decoder and losses are the same.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tpl_lightning.functional import frame_times, length_mask, resample, resample_to_size, sample_rows
from tpl_lightning.functional.warps import has_open_ends, prototype_times, video_times
from tpl_lightning.nn.encoders import LinearEncoder, PerAction
from tpl_lightning.nn.inception import InceptionTime
from tpl_lightning.nn.path_aligner import ComparisonSpace, PathAligner, PathOptions
from tpl_lightning.nn.tcn import TCN
from tpl_lightning.nn.warp_network import WarpNetwork, full_precision
from tpl_lightning.shapes import Float, Int

__all__ = ["DMTAE", "DMTAEOutput", "PathDMTAE", "standardise"]


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


class PathDMTAE(Autoencoder):
    """D-MTAE whose aligner sees the latent prototype (``nn.path_aligner``).

    Latents are compared on a grid that all videos share, times j / (G - 1), so nothing there is padded. Prototypes are
    given: those of the bank of training videos while it trains (``lit.bank``), the stored ones afterwards.

    Args:
        num_channels: Channels C of the embeddings.
        path: How paths are found.
        projection: ``none``, or ``discriminant``: axes that tell the time.
        options: Of :class:`Autoencoder`; ``num_cells`` is that of ``path``.

    Example:
        >>> model = PathDMTAE(6, path=PathOptions(derivative=0.0), latent_dim=3, encoder="linear").eval()
        >>> embeddings, lengths = torch.randn(2, 30, 6), torch.tensor([30, 20])
        >>> points, prototype = torch.tensor([25, 25]), torch.randn(2, 128, 3)
        >>> out = model(embeddings, lengths, points, prototype=prototype)
        >>> out.position.shape, out.source_position.shape
        (torch.Size([2, 30]), torch.Size([2, 25]))
    """

    aligner: PathAligner
    running_icae: Tensor
    """Of the training videos as they are aligned: what paths count as equal, see ``PathOptions.temperature``."""

    def __init__(
        self,
        num_channels: int,
        *,
        path: PathOptions,
        projection: str = "none",
        **options: Any,
    ) -> None:
        """Build encoder, decoder and the space of comparison."""
        super().__init__(num_channels, **{**options, "num_cells": path.num_cells})
        self.path = path
        self.space = ComparisonSpace(
            self.latent_dim, derivative=path.derivative, discriminant=projection == "discriminant"
        )
        self.aligner = PathAligner(path)
        self.prior = 1.0
        """Times the prior of paths, see :class:`~tpl_lightning.nn.path_aligner.PathAligner`."""
        self.register_buffer("running_icae", torch.ones(()))
        if len(self.levels) > 1:
            raise ValueError("Expected one recurrence: an aligner that sees the prototype finds its warp in one pass.")

    def use(self, path: PathOptions) -> None:
        """Find paths in another way from now on; cells may be fewer than at first."""
        self.path, self.space.derivative = path, path.derivative
        self.aligner = PathAligner(path)  # it has no weights
        self.levels = (path.num_cells,)

    def features(self, latent: Tensor, lengths: Tensor) -> Tensor:
        """Return what is compared: latents (B, T, D) on the grid with their derivatives, (B, G, F), not projected."""
        return self.space.beside(resample_to_size(latent, lengths, self.path.grid), self.path.sigma)

    def find_theta(self, compared: Tensor, prototype: Tensor) -> Tensor:
        """Return theta (B, d) of what is compared (B, G, K), each against a prototype (B, G, K) of its own.

        With open ends it is (B, d + 2), see ``functional.warps.ends``.
        """
        theta: Tensor = self.aligner(compared, prototype, self.running_icae, self.prior)
        return theta

    def forward(
        self,
        embeddings: Float[Tensor, "B T C"],
        lengths: Int[Tensor, "B"],
        prototype_length: Int[Tensor, "B"],
        points: int | None = None,
        action: Int[Tensor, "B"] | None = None,
        *,
        prototype: Float[Tensor, "B G D"],
    ) -> DMTAEOutput:
        """Encode and align.

        Args:
            embeddings: As of :meth:`DMTAE.forward`, and so are the next four.
            lengths: (B,).
            prototype_length: (B,).
            points: P.
            action: (B,).
            prototype: (B, G, K) what each video is compared with, in the axes of comparison.
        """
        latent = self.encode(embeddings, lengths, action)
        features = self.features(latent, lengths)
        theta = self.find_theta(self.space(features), prototype).unsqueeze(1)
        source, position = self.time_maps(theta, lengths, prototype_length, frames=embeddings.shape[1], points=points)
        aligned = sample_rows(features, self.grid_times(theta))
        return DMTAEOutput(latent, theta, aligned, source, position, latent.new_zeros(*latent.shape[:2], 0))

    def grid_times(self, theta: Tensor, *, inverse: bool = False) -> Tensor:
        """Return T^theta, or T^-theta, at the points of the shared grid, (B, G)."""
        grid = torch.linspace(0, 1, self.path.grid, dtype=theta.dtype, device=theta.device)
        return self._path_warp(theta, grid, inverse=inverse)

    def _warp(self, theta: Tensor, points: Tensor, *, inverse: bool = False) -> Tensor:
        if not has_open_ends(theta[:, 0], self.path.num_cells):
            return super()._warp(theta, points, inverse=inverse)
        return self._path_warp(theta, points, inverse=inverse)

    def _path_warp(self, theta: Tensor, points: Tensor, *, inverse: bool) -> Tensor:
        """Return T^theta, or T^-theta, of one warp a video, whose ends may be open."""
        way = prototype_times if inverse else video_times
        return way(theta[:, 0], points, num_cells=self.path.num_cells)

    def decode(self, latent: Tensor, theta: Tensor, lengths: Tensor, action: Tensor | None) -> Tensor:
        """Return the hidden channels of Dec(Z~_i) ∘ T^-theta_i at the frames, (B, T, H); see :meth:`reconstruct`."""
        times = self.grid_times(theta)
        size = torch.full_like(lengths, self.path.grid)
        aligned = resample(latent, times, lengths)
        hidden = self._run(self.decoder, aligned, size, action, last=False)
        own = frame_times(lengths, latent.shape[1], theta.dtype)
        position = prototype_times(theta[:, 0], own, num_cells=self.path.num_cells)
        return sample_rows(hidden, position)
