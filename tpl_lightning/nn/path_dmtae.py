"""D-MTAE whose aligner sees the latent prototype."""

from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional import Float, Int, frame_times, resample, resample_to_size, sample_rows
from tpl_lightning.functional.warps import has_open_ends, prototype_times, video_times
from tpl_lightning.nn.autoencoder import Autoencoder
from tpl_lightning.nn.dmtae import DMTAEOutput
from tpl_lightning.nn.path_aligner import ComparisonSpace, PathAligner, PathOptions


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
        return self.warp(theta, grid, inverse=inverse)

    def warp(self, theta: Tensor, points: Tensor, *, inverse: bool = False) -> Tensor:
        """Return T^theta, or T^-theta, whose ends may be open."""
        if not has_open_ends(theta[:, 0], self.path.num_cells):
            return super().warp(theta, points, inverse=inverse)
        way = prototype_times if inverse else video_times
        return way(theta[:, 0], points, num_cells=self.path.num_cells)

    def decode(self, latent: Tensor, theta: Tensor, lengths: Tensor, action: Tensor | None) -> Tensor:
        """Return the hidden channels of Dec(Z~_i) ∘ T^-theta_i at the frames, (B, T, H); see :meth:`reconstruct`."""
        times = self.grid_times(theta)
        size = torch.full_like(lengths, self.path.grid)
        aligned = resample(latent, times, lengths)
        hidden = self._run(self.decoder, aligned, size, action, last=False)
        own = frame_times(lengths, latent.shape[1], theta.dtype)
        return sample_rows(hidden, self.warp(theta, own, inverse=True))
