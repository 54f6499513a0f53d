"""The space in which videos are compared: features of a frame that tell *when* it is, not what the clip looks like.

Two steps, both without labels:

1. Smoothed time derivatives are put beside the features: what moves says more about the phase than what is there.
2. Once the videos are roughly aligned, what they share at equal prototype times is signal and the rest is noise. With
   N the noise covariance and S the signal covariance, features are mapped by N^-1/2 to white noise, turned to the
   axes of the whitened signal, and each axis is weighted by sqrt(s / (s + 1/n)), s its signal-to-noise ratio: the
   share of a prototype of n videos that is signal (Wiener). It is linear discriminant analysis with prototype time
   in the place of classes, close to correlated components analysis (Parra et al. 2018).
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional import smoothed

SHRINKAGE = 0.1
"""Weight of the identity in the noise that is whitened, see :func:`discriminant_projection`."""


def channel_energy(signal: Tensor) -> Tensor:
    """Return the mean square change over time of each channel of (N, G, C), shape (C,)."""
    return (signal - signal.mean(1, keepdim=True)).square().mean((0, 1))


def _energy(signal: Tensor) -> Tensor:
    """Return the root of the mean total variance over time."""
    return channel_energy(signal).sum().sqrt()


@dataclass(frozen=True)
class DiscriminantSpace:
    """Maps features on the shared grid to the space of comparison.

    Attributes:
        derivative: Share of the energy that the time derivatives get, in [0, 1).
        sigma: Standard deviation of the Gaussian that smooths before differentiating, as a share of the video.
        derivative_scale: Root mean square of the derivatives of the training videos.
        metric: (C', K) from :func:`discriminant_projection`, or None.
    """

    derivative: float
    sigma: float
    derivative_scale: float = 1.0
    metric: Tensor | None = None

    def fit(self, features: Tensor) -> tuple["DiscriminantSpace", Tensor]:
        """Measure the scale of the derivatives on the training videos, (N, G, C); return these in the space, too."""
        if self.derivative == 0:
            return self, features
        slope = self._slope(features)
        scale = float(torch.linalg.vector_norm(slope)) / (features.shape[0] * features.shape[1]) ** 0.5
        fitted = replace(self, derivative_scale=max(scale, 1e-12))
        return fitted, fitted._beside(features, slope)

    def with_metric(
        self,
        aligned: Tensor,
        action: Tensor,
        *,
        num_actions: int,
        channels: int,
        shrinkage: float = SHRINKAGE,
        cover: Tensor | None = None,
    ) -> "DiscriminantSpace":
        """Learn the metric from roughly aligned videos (N, G, C') of this space without one; K <= ``channels``."""
        metric = discriminant_projection(
            aligned, action, num_actions=num_actions, channels=channels, shrinkage=shrinkage, cover=cover
        )
        return replace(self, metric=metric / _energy(aligned @ metric))

    def _slope(self, features: Tensor) -> Tensor:
        return smoothed(features, self.sigma, features.shape[1], slope=True)

    def _beside(self, features: Tensor, slope: Tensor) -> Tensor:
        """Return features and derivatives, each with its share of the energy."""
        size = features.shape[-1]
        both = features.new_empty(*features.shape[:-1], 2 * size)
        torch.mul(features, (1 - self.derivative) ** 0.5, out=both[..., :size])
        torch.mul(slope, self.derivative**0.5 / self.derivative_scale, out=both[..., size:])
        return both

    def __call__(self, features: Tensor) -> Tensor:
        """Return (N, G, C) features in the space of comparison, (N, G, C') or (N, G, K)."""
        if self.derivative > 0:
            features = self._beside(features, self._slope(features))
        return self.in_metric(features)

    def in_metric(self, features: Tensor) -> Tensor:
        """Return features with derivatives (N, G, C') in the metric, (N, G, K); as they are where there is none."""
        return features if self.metric is None else features @ self.metric

    def state(self) -> dict[str, Any]:
        """Return tensors and primitives that a checkpoint can hold."""
        return {**vars(self), "metric": None if self.metric is None else self.metric.cpu()}

    @classmethod
    def from_state(cls, state: dict[str, Any], *, device: torch.device | str = "cpu") -> "DiscriminantSpace":
        """Rebuild from :meth:`state`, on a device."""
        metric = state["metric"]
        return cls(**{**state, "metric": None if metric is None else metric.to(device)})


def discriminant_projection(
    aligned: Tensor,
    action: Tensor,
    *,
    num_actions: int,
    channels: int,
    shrinkage: float = SHRINKAGE,
    videos: float = 3.0,
    cover: Tensor | None = None,
) -> Tensor:
    """Return the matrix W (C, K) whose x W has white noise, and shares per axis of a prototype that are signal.

    Within an action of n videos, with x_i(t) centred over time, the total covariance is T = mean_it x x^T, and the
    signal covariance that of different videos at the same time, S = mean_{i != j, t} x_i x_j^T, which noise does not
    bias. N = T - S, shrunk towards a multiple of the identity.

    Args:
        aligned: (N, G, C) videos on the prototype timeline.
        action: (N,) number of each video's action.
        num_actions: A.
        channels: Most axes kept, those with the most signal.
        shrinkage: Weight of the identity in N.
        videos: n of the Wiener weights.
        cover: (N, G, 1) weight of a video at each point; None: 1.

    Returns:
        (C, K); the identity where no action has two videos.
    """
    covariances = _scatter(aligned, action, num_actions=num_actions, cover=cover)
    size = aligned.shape[-1]
    if covariances is None:
        return torch.eye(size, dtype=aligned.dtype, device=aligned.device)
    total, signal = covariances
    noise = total - signal
    eye = torch.eye(size, dtype=noise.dtype, device=noise.device)
    noise = (1 - shrinkage) * noise + shrinkage * noise.diagonal().mean().clamp(min=1e-12) * eye
    variance, axes = torch.linalg.eigh(noise)
    whiten = (axes * variance.clamp(min=1e-4 * variance.max()).rsqrt()) @ axes.T
    ratio, directions = torch.linalg.eigh(whiten @ signal @ whiten)
    ratio = ratio.clamp(min=0)
    kept = slice(max(size - channels, 0), size)
    weight = (ratio / (ratio + 1 / videos)).sqrt()
    return (whiten @ directions * weight)[:, kept].to(aligned.dtype)


def _scatter(
    aligned: Tensor, action: Tensor, *, num_actions: int, cover: Tensor | None
) -> tuple[Tensor, Tensor] | None:
    """Return T and S of :func:`discriminant_projection`, (C, C) float64 each; None where no action has two videos."""
    size = aligned.shape[-1]
    if cover is None:
        cover = aligned.new_ones(1, 1, 1)
    cover = cover.expand(*aligned.shape[:2], 1)
    values = aligned - (aligned * cover).sum(1, keepdim=True) / cover.sum(1, keepdim=True)
    total, signal = values.new_zeros(2, size, size, dtype=torch.float64).unbind(0)
    counted = 0
    for label in range(num_actions):
        videos_of, weight = values[action == label], cover[action == label]
        count = len(videos_of)
        if count < 2:
            continue
        # Each pair of videos counts where both are, in T as in S, so N = T - S has no negative variance.
        others = weight.sum(0) - weight
        pairs = (weight * others).sum(dtype=torch.float64) / count
        flat, summed = (videos_of * (weight * others).sqrt()).flatten(0, 1), (videos_of * weight).sum(0).double()
        own = (videos_of * weight).flatten(0, 1)
        within = (flat.T @ flat).double()  # a sum of squares loses nothing in single precision that matters here
        total = total + within / pairs * aligned.shape[1]
        signal = signal + (summed.T @ summed - (own.T @ own).double()) / pairs * aligned.shape[1]
        counted += count
    if counted == 0:
        return None
    points = counted * aligned.shape[1]
    return total / points, (signal + signal.T) / (2 * points)
