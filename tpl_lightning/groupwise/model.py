"""What the direct fit learns from a training set, and what it needs to align new videos: space and prototypes.

A first, rough fit aligns the videos well enough for a discriminant projection to be learned and paths to be found;
the last fit starts from these paths, in the projected space.
"""

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional import sample_rows
from tpl_lightning.functional.warps import between, coverage, video_times
from tpl_lightning.groupwise.discriminant import DiscriminantSpace
from tpl_lightning.groupwise.empirical_bayes import precision_factor, regularised
from tpl_lightning.groupwise.energy import less_offset
from tpl_lightning.groupwise.fit import (
    JointOptions,
    barycenters,
    expected_ends,
    fit_jointly,
    fit_to_prototypes,
    gauge_fixed,
    still_warps,
)
from tpl_lightning.groupwise.path_warps import path_warps
from tpl_lightning.groupwise.rests import moving_ends

_FIRST_STAGES, _FIRST_PRIOR, _FIRST_CELLS = (0.1, 0.025), 1.5, 16  # of the rough fit, whose features are noisier
# Names in states of earlier versions.
_FORMER = {
    "stages": "scales",
    "stiffness": "precision",
    "level_freedom": "offset_shrinkage",
    "adapt": "empirical_bayes",
}
_AXES = 64  # of the projection; more bring nothing


@dataclass(frozen=True)
class JointModel:
    """Prototypes of all actions in the space of comparison.

    Attributes:
        space: Maps features on the shared grid.
        options: How warps are fitted.
        prototype: (A, G, K) barycenters.
        precision: How many times stronger than set the prior is, at least 1: more where videos are in step already;
            infinite: warps are the identity.
        ends: (A, 2) mean open ends of each action's training videos; None: ends are fixed.
        bounds: (A, 2) where the action begins and ends on a prototype that rests before and after, which videos that
            wait are compared with; None: at 0 and 1.
    """

    space: DiscriminantSpace
    options: JointOptions
    prototype: Tensor
    precision: float = 1.0
    ends: Tensor | None = None
    bounds: Tensor | None = None

    @classmethod
    def fit(
        cls,
        features: Tensor,
        action: Tensor,
        *,
        num_actions: int,
        options: JointOptions,
        theta: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> tuple["JointModel", Tensor]:
        """Align training videos with one another; the arguments are those of :meth:`JointStart.find`.

        Returns:
            The model, and theta (N, d) of the training videos.
        """
        start = JointStart.find(features, action, num_actions=num_actions, options=options, theta=theta, labels=labels)
        return start.fit()

    def align(
        self, signal: Tensor, action: Tensor, *, theta: Tensor | None = None, steps: int = 8
    ) -> tuple[Tensor, Tensor]:
        """Align new videos with the frozen prototypes; no video changes another's result.

        Args:
            signal: (N, G, K) features in the space of comparison, ``space(features)``.
            action: (N,).
            theta: (N, d) start, on the whole prototype; None: the best paths.
            steps: Levenberg-Marquardt steps in each stage.

        Returns:
            theta (N, d), between the bounds, and the mean squared distance to the prototype, (N,).
        """
        if math.isinf(self.precision):
            return still_warps(signal, self.options), (signal - self.prototype[action]).square().sum(-1).mean(
                1
            ).double()
        theta = self.path_warps(signal, action) if theta is None else theta
        theta, error = fit_to_prototypes(
            signal, action, self.prototype, options=self.options, theta=theta, steps=steps, ends=self.ends
        )
        return theta if self.bounds is None else between(theta, self.bounds[action]), error

    def path_warps(self, signal: Tensor, action: Tensor) -> Tensor:
        """Return the warps nearest to the best paths to the prototypes, theta (N, d): nothing is iterated to an end.

        Args:
            signal: (N, G, K) features in the space of comparison, ``space(features)``.
            action: (N,).
        """
        return path_warps(signal, self.prototype[action], self.options)

    def state(self) -> dict[str, Any]:
        """Return tensors and primitives that a checkpoint can hold."""
        options = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.options).items()}
        return {
            "space": self.space.state(),
            "options": options,
            "prototype": self.prototype.cpu(),
            "precision": self.precision,
            "ends": None if self.ends is None else self.ends.cpu(),
            "bounds": None if self.bounds is None else self.bounds.cpu(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], *, device: torch.device | str = "cpu") -> "JointModel":
        """Rebuild from :meth:`state`, on a device; options that are unknown or missing are those of other versions."""
        renamed = {_FORMER.get(k, k): v for k, v in state.items()}
        known = {field.name for field in fields(JointOptions)}
        options: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v
            for k, v in ((_FORMER.get(k, k), v) for k, v in state["options"].items())
            if k in known
        }
        prototype = state["prototype"] if "prototype" in state else _former_prototype(state)
        space = DiscriminantSpace.from_state(state["space"], device=device)
        ends, bounds = (None if state.get(name) is None else state[name].to(device) for name in ("ends", "bounds"))
        return cls(space, JointOptions(**options), prototype.to(device), renamed.get("precision", 1.0), ends, bounds)


def _former_prototype(state: dict[str, Any]) -> Tensor:
    """Return the prototypes of a state that held one of each stage, and one for paths where these were used."""
    return state["prototypes"][-1] if state.get("sharp") is None else state["sharp"]


@dataclass(frozen=True)
class JointStart:
    """Training videos in the space of comparison, and where their last fit starts.

    Attributes:
        space: Maps features on the shared grid.
        options: How warps are fitted.
        signal: (N, G, K) the videos in the space.
        beside: (N, G, K + L) the same with supervised channels behind them.
        weight: (N, 1, K + L) which channels a video has, see ``groupwise.fit.barycenters``; None: all.
        action: (N,).
        num_actions: A.
        theta: (N, d) warps of the best paths.
        precision: How many times stronger than set the prior ought to be.
    """

    space: DiscriminantSpace
    options: JointOptions
    signal: Tensor
    beside: Tensor
    weight: Tensor | None
    action: Tensor
    num_actions: int
    theta: Tensor
    precision: float

    @classmethod
    def find(
        cls,
        features: Tensor,
        action: Tensor,
        *,
        num_actions: int,
        options: JointOptions,
        theta: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> "JointStart":
        """Fit roughly, learn the projection, find paths.

        Args:
            features: (N, G, C) on the shared grid, total variance 1.
            action: (N,).
            num_actions: A.
            options: How warps are fitted.
            theta: (N, d) start of the rough fit; None: the identity.
            labels: (N, G, L) supervised channels, aligned beside the features but no part of the prototypes; NaN for
                videos that have none.
        """
        grid = torch.linspace(0, 1, features.shape[1], device=features.device)
        space, plain = DiscriminantSpace(options.derivative, options.derivative_sigma).fit(features)
        cells = min(options.num_cells, _FIRST_CELLS) if theta is None else options.num_cells
        first = replace(options, num_cells=cells, smoothness=_FIRST_PRIOR * options.smoothness, scales=_FIRST_STAGES)
        beside, weight = _with_labels(plain, labels, action)
        theta = fit_jointly(beside, action, num_actions=num_actions, options=first, theta=theta, weight=weight)
        times, signal = video_times(theta, grid, num_cells=cells), plain
        for _ in range(options.path_rounds):
            cover = coverage(times) if options.ends else None
            space = space.with_metric(
                sample_rows(plain, times),
                action,
                num_actions=num_actions,
                channels=_AXES,
                shrinkage=options.shrinkage,
                cover=cover,
            )
            signal = space.in_metric(plain)
            beside, weight = _with_labels(signal, labels, action)
            aligned = less_offset(sample_rows(beside, times), options.offset_shrinkage, cover)
            target = barycenters(aligned, action, num_actions=num_actions, weight=weight, cover=cover)[0]
            theta = path_warps(beside, target, options)
            theta = gauge_fixed(theta, action, num_actions=num_actions, num_cells=options.num_cells)
            times = video_times(theta, grid, num_cells=options.num_cells)
        precision = precision_factor(signal, action, num_actions=num_actions) if options.empirical_bayes > 0 else 1.0
        return cls(space, options, signal, beside, weight, action, num_actions, theta, precision)

    def fit(self, strength: float = 1.0) -> tuple[JointModel, Tensor]:
        """Align the videos with one another from their paths, with a prior so many times stronger.

        Args:
            strength: 1: as it ought to be without labels; infinite: warps are the identity.

        Returns:
            The model, and theta (N, d).
        """
        action, num_actions, theta = self.action, self.num_actions, self.theta
        precision = strength * self.precision
        if math.isinf(strength):
            options, theta = self.options, still_warps(self.signal, self.options)
        else:
            options = replace(
                self.options,
                smoothness=precision * self.options.smoothness,
                ends_precision=precision * self.options.ends_precision,
            )
            for number, sigma in enumerate(options.scales):
                if number == len(options.scales) - 1 and strength == 1:
                    options = regularised(theta, self.signal, action, num_actions=num_actions, options=options)
                stage = replace(options, scales=(sigma,))
                theta = fit_jointly(
                    self.beside, action, num_actions=num_actions, options=stage, theta=theta, weight=self.weight
                )
        return self.model(theta, options, precision), theta

    def moving_ends(self, theta: Tensor) -> Tensor:
        """Return where prototypes begin and cease to move, (A, 2), see ``groupwise.rests``."""
        return moving_ends(
            self.signal, self.action, theta, num_actions=self.num_actions, num_cells=self.options.num_cells
        )

    def model(self, theta: Tensor, options: JointOptions, precision: float) -> JointModel:
        """Return the model of fitted warps theta (N, d): prototypes are the means of the aligned videos."""
        action, num_actions = self.action, self.num_actions
        grid = torch.linspace(0, 1, self.signal.shape[1], device=theta.device)
        times = video_times(theta, grid, num_cells=options.num_cells)
        cover = coverage(times) if options.ends else None
        aligned = less_offset(sample_rows(self.signal, times), options.offset_shrinkage, cover)
        prototype = barycenters(aligned, action, num_actions=num_actions, cover=cover)[1]
        ends = expected_ends(theta, action, num_actions=num_actions) if options.ends else None
        return JointModel(self.space, options, prototype, precision, ends)


def _with_labels(signal: Tensor, labels: Tensor | None, action: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return signals (N, G, K) with supervised channels (N, G, L) behind them, and which channels a video has.

    Those of a video that is the only one of its action to have any tell nothing.
    """
    if labels is None:
        return signal, None
    known = ~labels[:, 0, 0].isnan()
    known &= torch.bincount(action[known], minlength=int(action.max()) + 1)[action] > 1
    weight = known.view(-1, 1, 1).to(signal).expand(-1, 1, labels.shape[2])
    return torch.cat([signal, labels.nan_to_num() * weight], -1), torch.cat(
        [torch.ones_like(signal[:, :1]), weight], -1
    )
