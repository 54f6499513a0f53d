"""What the direct fit learns from a training set, and what it needs to align new videos: space and prototypes."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional.cpab import cpab_warp
from tpl_lightning.functional.joint import JointOptions, fit_jointly, fit_to_prototypes
from tpl_lightning.functional.smoothing import sample_rows
from tpl_lightning.functional.timing_space import TimingSpace

__all__ = ["JointModel", "SpaceOptions"]


@dataclass(frozen=True)
class SpaceOptions:
    """How the space of comparison is made (see ``functional.timing_space``)."""

    derivative: float = 0.5
    sigma: float = 0.0125
    metric: bool = True
    """Learn the metric from a first, smoother fit."""
    metric_channels: int = 32
    first_smoothness: float = 0.3
    """Weight of the prior in that first fit, whose features are noisier."""
    first_stages: tuple[float, ...] = (0.1, 0.05, 0.025)


@dataclass(frozen=True)
class JointModel:
    """Prototypes of all actions in the space of comparison.

    Attributes:
        space: Maps features on the shared grid.
        options: How warps are fitted.
        prototypes: Of each stage of smoothing, (A, G_s, K).
    """

    space: TimingSpace
    options: JointOptions
    prototypes: list[Tensor]

    @classmethod
    def fit(
        cls,
        features: Tensor,
        action: Tensor,
        *,
        num_actions: int,
        options: JointOptions,
        space: SpaceOptions,
        theta: Tensor | None = None,
    ) -> tuple["JointModel", Tensor]:
        """Align training videos with one another.

        Args:
            features: (N, G, C) on the shared grid, total variance 1.
            action: (N,).
            num_actions: A.
            options: How warps are fitted.
            space: How the space of comparison is made.
            theta: (N, d) start; None: the identity.

        Returns:
            The model, and theta (N, d) of the training videos.
        """
        mapping = TimingSpace(space.derivative, space.sigma).fit(features)
        signal = mapping(features)
        if space.metric:
            first = replace(options, smoothness=space.first_smoothness, stages=space.first_stages)
            rough = fit_jointly(signal, action, num_actions=num_actions, options=first, theta=theta).theta
            grid = torch.linspace(0, 1, signal.shape[1], device=signal.device)
            aligned = sample_rows(signal, cpab_warp(rough, grid, num_cells=options.num_cells))
            mapping = mapping.with_metric(aligned, action, num_actions=num_actions, channels=space.metric_channels)
            signal = mapping(features)
        fit = fit_jointly(signal, action, num_actions=num_actions, options=options, theta=theta)
        return cls(mapping, options, fit.prototypes), fit.theta

    def align(self, features: Tensor, action: Tensor, *, theta: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Align new videos with the frozen prototypes; no video changes another's result.

        Args:
            features: (N, G, C) on the shared grid.
            action: (N,).
            theta: (N, d) start; None: the identity.

        Returns:
            theta (N, d), and the mean squared distance to the prototype, (N,).
        """
        signal = self.space(features)
        return fit_to_prototypes(signal, action, self.prototypes, options=self.options, theta=theta)

    def state(self) -> dict[str, Any]:
        """Return tensors and primitives that a checkpoint can hold."""
        options = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.options).items()}
        return {"space": self.space.state(), "options": options, "prototypes": [p.cpu() for p in self.prototypes]}

    @classmethod
    def from_state(cls, state: dict[str, Any], *, device: torch.device | str = "cpu") -> "JointModel":
        """Rebuild from :meth:`state`, on a device."""
        options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in state["options"].items()}
        prototypes = [p.to(device) for p in state["prototypes"]]
        return cls(TimingSpace.from_state(state["space"], device=device), JointOptions(**options), prototypes)
