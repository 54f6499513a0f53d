"""An aligner that sees the prototype: the expected path between a latent and the latent prototype, as a warp.

An aligner that sees the video alone learns to recognise clips (docs/lab_notes/networks.md). This one has no weights.
It compares each point of a video with each of the prototype, takes the expected monotone path under soft-DTW, and
returns the nearest CPAB warp. All of it is differentiable, so the encoder learns latents whose paths align.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tpl_lightning.functional import expected_path, open_costs, path_posterior, sample_each, smoothed, time_slope
from tpl_lightning.functional.warps import least_squares_warps, with_ends
from tpl_lightning.groupwise import discriminant_projection


@dataclass(frozen=True)
class PathOptions:
    """How paths are found and warps made of them. Constants come from the sets of docs/results.md, train splits.

    Example:
        >>> PathOptions(smoothness=1e-3).num_cells, DETAIL.num_cells
        (16, 64)
    """

    num_cells: int = 16
    grid: int = 128
    """Points G of the shared grid."""
    points: int = 64
    """Points M of each side of the table of distances."""
    temperature: float = 1.5
    """gamma of soft-DTW over the running ICAE, the mean squared distance of a video to the prototype of the others."""
    smoothness: float = 1e-4
    """Weight of the mean square slope of the velocity field, against the squared error of positions."""
    damping: float = 1.0
    """How far a frame is held on its path as it moves to where it fits best between two points; 0: not at all."""
    corrections: int = 1
    """Gauss-Newton steps from the warp that linear least squares finds; steep warps need more."""
    derivative: float = 0.5
    """Share of the energy of what is compared that time derivatives have."""
    sigma: float = 0.0125
    """Gaussian smoothing before differentiating, as a share of the video."""
    shrinkage: float = 0.2
    """Weight of the identity in the noise that the discriminant projection whitens."""
    ends: bool = False
    """Whether ends are open."""


COARSE = PathOptions()
DETAIL = PathOptions(
    num_cells=64,
    grid=512,
    points=256,
    temperature=0.5,
    smoothness=3e-6,
    damping=0.01,
    corrections=4,
    derivative=0.15,
    sigma=0.002,
    shrinkage=0.3,
)
"""For long recordings of many short phases: warps there are steep, and sharp signals tell more than derivatives."""

_AXES = 64  # of the discriminant projection, as the direct fit keeps
_SKIP = 0.5  # of the mean cost of all pairs: that of a point outside an open path
_IDLE = 2.0  # times that, of a frame outside: it is there, and shows something
_OPEN_CORRECTIONS = 3  # to where ends have settled
_FLOOR = 1e-4  # variance of a path's position that counts as certain: (.01 of the timeline)^2


class ComparisonSpace(nn.Module):
    """Latents (B, G, D) on the shared grid, their time derivatives beside them, in the axes that tell the time.

    Nothing here learns by gradients: :meth:`renew` measures what it needs on roughly aligned training videos.

    Args:
        latent_dim: D.
        derivative: Share of the energy that the time derivatives get; 0: none.
        discriminant: Whether noise is whitened and axes are weighted by signal (``groupwise.discriminant``).
    """

    derivative_scale: Tensor
    projection: Tensor

    def __init__(self, latent_dim: int, *, derivative: float, discriminant: bool) -> None:
        """Start with axes as they are."""
        super().__init__()
        self.derivative, self.discriminant = derivative, discriminant
        self.features = 2 * latent_dim if derivative > 0 else latent_dim
        self.num_axes = min(_AXES, self.features) if discriminant else self.features
        self.is_plain = False  # before axes are known: features are compared as they are
        self.register_buffer("derivative_scale", torch.ones(()))
        self.register_buffer("projection", torch.eye(self.features, self.num_axes))

    def beside(self, latent: Tensor, sigma: float) -> Tensor:
        """Return latents with their derivatives, each with its share of the energy, (B, G, F)."""
        if self.derivative == 0:
            return latent
        slope = smoothed(latent, sigma, latent.shape[1], slope=True) / self.derivative_scale
        return torch.cat([(1 - self.derivative) ** 0.5 * latent, self.derivative**0.5 * slope], -1)

    def forward(self, features: Tensor) -> Tensor:
        """Return features (..., F) in the axes of comparison, (..., K)."""
        if self.is_plain:
            return features
        with torch.autocast(features.device.type, enabled=False):
            return features.to(self.projection.dtype) @ self.projection

    @torch.no_grad()
    def calibrate(self, latent: Tensor, sigma: float) -> None:
        """Bring the derivatives of training videos (N, G, D) to the energy of these."""
        if self.derivative > 0:
            slope = smoothed(latent, sigma, latent.shape[1], slope=True)
            energy = latent.square().sum(-1).mean().clamp(min=1e-12)
            self.derivative_scale.copy_((slope.square().sum(-1).mean() / energy).sqrt().clamp(min=1e-12))

    @torch.no_grad()
    def renew(
        self, aligned: Tensor, action: Tensor, *, num_actions: int, shrinkage: float, cover: Tensor | None = None
    ) -> None:
        """Learn the axes from roughly aligned training videos (N, G, F); what is compared has total variance 1.

        Args:
            aligned: (N, G, F).
            action: (N,).
            num_actions: A.
            shrinkage: See ``PathOptions``.
            cover: (N, G, 1) weight of a video at each point; None: 1.
        """
        axes = torch.eye(self.features, dtype=aligned.dtype, device=aligned.device)
        if self.discriminant:
            options: dict[str, Any] = {"channels": self.num_axes, "shrinkage": shrinkage, "cover": cover}
            axes = discriminant_projection(aligned, action, num_actions=num_actions, **options)[:, : self.num_axes]
        values = aligned @ axes
        energy = (values - values.mean(1, keepdim=True)).square().sum(-1).mean()
        self.projection.copy_(axes / energy.sqrt().clamp(min=1e-6))


class PathAligner(nn.Module):
    """Latents and latent prototypes to theta; no weights. See :class:`PathOptions`."""

    def __init__(self, options: PathOptions = COARSE) -> None:
        """Keep the options."""
        super().__init__()
        self.options = options

    def forward(self, signal: Tensor, prototype: Tensor, running_icae: Tensor, prior: float = 1.0) -> Tensor:
        """Return theta (B, d); each video has a prototype of its own, so that none is compared with itself.

        With open ends it is (B, d + 2), see ``functional.warps.ends``.
        Gradients reach the videos; prototypes count as constants.

        Convention: row t of the table is video time, column j prototype time; the path is T^-theta.

        Args:
            signal: (B, G, K) what is compared, on the shared grid.
            prototype: (B, G, K).
            running_icae: Scalar, see ``PathOptions.temperature``; 0 where nothing differs.
            prior: Times ``PathOptions.smoothness``; infinite: warps are the identity.
        """
        options = self.options
        if math.isinf(prior):
            still = signal.new_zeros(len(signal), options.num_cells - 1)
            return with_ends(still) if options.ends else still
        with torch.autocast(signal.device.type, enabled=False):
            whole = (x.float() if x.element_size() < 4 else x for x in (signal, prototype.detach()))
            video, target = (self._thinned(x) for x in whole)
            cost = torch.baddbmm(
                video.square().sum(-1, keepdim=True) + target.square().sum(-1).unsqueeze(1),
                video,
                target.transpose(1, 2),
                alpha=-2,
            ).clamp(min=0)
            gamma = (options.temperature * running_icae).clamp(min=1e-6)
            position, variance = _open_path(cost, gamma) if options.ends else expected_path(cost, gamma)
            if options.damping > 0:
                held = position
                position = _between_points(position, variance, video, target, options.damping * gamma)
                if options.ends:  # what is idle stays so
                    position = position.where((held > 0) & (held < 1), held)
            return least_squares_warps(
                position,
                1 / (variance + _FLOOR),
                num_cells=options.num_cells,
                smoothness=prior * options.smoothness,
                corrections=max(options.corrections, _OPEN_CORRECTIONS) if options.ends else options.corrections,
                ends=options.ends,
            )

    def _thinned(self, signal: Tensor) -> Tensor:
        """Return (B, G, K) smoothed for, and sampled at, the points of the table."""
        points = self.options.points
        return signal if signal.shape[1] <= points else smoothed(signal, 0.5 / points, points)


def _open_path(cost: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance (B, N) of the prototype time that frames face on open-begin open-end paths.

    A frame that faces the border more than the prototype is idle: 0 or 1. The first frame may face points that others
    would, were they there, so it is where the next two say; the last one alike.
    """
    framed = open_costs(cost, _SKIP * cost.mean((1, 2)).detach())
    framed[:, 1:-1, [0, -1]] *= _IDLE
    visited = path_posterior(framed, gamma)[:, 1:-1]
    inner = visited[:, :, 1:-1]
    total = inner.sum(-1)
    share = inner / total.clamp(min=1e-12).unsqueeze(-1)
    time = torch.linspace(0, 1, cost.shape[2], dtype=cost.dtype, device=cost.device)
    mean = share @ time
    variance = (share * (time - mean.unsqueeze(-1)).square()).sum(-1)
    first, last = 2 * mean[:, 1:2] - mean[:, 2:3], 2 * mean[:, -2:-1] - mean[:, -3:-2]
    mean = torch.cat([first, mean[:, 1:-1], last], 1).clamp(0, 1)
    variance = torch.cat([variance[:, 1:2], variance[:, 1:-1], variance[:, -2:-1]], 1)
    before, behind = visited[:, :, 0] > total, visited[:, :, -1] > total
    return mean.masked_fill(before, 0.0).masked_fill(behind, 1.0), variance


def _between_points(position: Tensor, variance: Tensor, video: Tensor, target: Tensor, damping: Tensor) -> Tensor:
    """Move frames from the points of their path to where they fit best: one Gauss-Newton step of an error.

        || P(x) - U ||^2 + damping (x - position)^2 / variance.

    Where the path is sure, or the prototype hardly changes, frames hardly move.
    """
    slope = time_slope(target)
    matched, along = sample_each([target, slope], position)
    spacing = 1.0 / (target.shape[1] - 1)
    held = damping / (variance + (0.3 * spacing) ** 2)  # a point stands for an interval: sqrt(1 / 12) of it, about
    step = ((matched - video) * along).sum(-1) / (along.square().sum(-1) + held + 1e-9)
    reach = 4 * spacing  # beyond some points the slope says nothing
    return (position - step.clamp(-reach, reach)).clamp(0, 1)
