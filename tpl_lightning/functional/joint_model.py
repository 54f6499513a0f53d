"""What the direct fit learns from a training set, and what it needs to align new videos: space and prototypes."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional.adapted_prior import adapted, some_of_each, stiffness_of
from tpl_lightning.functional.cpab import cpab_warp
from tpl_lightning.functional.first_fit import START, SpaceOptions, space_and_start
from tpl_lightning.functional.joint import (
    Guide,
    JointOptions,
    fit_jointly,
    fit_to_prototypes,
    targets,
    warps_from_positions,
)
from tpl_lightning.functional.path_warps import path_warps
from tpl_lightning.functional.smoothing import sample_rows
from tpl_lightning.functional.timing_space import TimingSpace

__all__ = ["FINE_CELLS", "JointModel", "SpaceOptions", "in_detail"]

FINE_CELLS = 64
"""Cells of warps in full detail."""
_LEAST = 24  # videos of an action, from which on a prototype hardly gets better
_IN_STEP = 2.0  # times the prior, from which on it is not made weaker again
_STEADIED_AT, _STEADINESS = 160, 1e-3  # points at which warps are held back, and how much (docs/methods.md)
_STAGES_FROM_PATHS = 2  # of the last fit: the sharpest so many
_STEPS_FROM_PATHS = 2  # that take training videos from their paths to where they settle


def in_detail(options: JointOptions, space: SpaceOptions) -> tuple[JointOptions, SpaceOptions]:
    """Return options for long recordings of many short phases, some of them left out or done twice.

    Warps there are steep and change often, and a derivative smoothed over a hundredth of the video blurs whole phases:
    many cells, a weak prior, sharp signals, some of the energy for derivatives between neighbouring points; paths find
    what gradient steps from afar cannot. The first fit is far off there, so less of the noise it shows is believed. The
    level of a long video says little about its phases, and lingering in one moves it.
    """
    return (
        replace(
            options,
            num_cells=FINE_CELLS,
            smoothness=0.03 * options.smoothness,
            stages=(0.0125, 0.003),
            level_freedom=1.0,
        ),
        replace(
            space,
            derivative=min(space.derivative, 0.15),
            sigma=0.002,
            shrinkage=0.3,
            path_rounds=2,
            first_videos=space.joint_videos,
        ),
    )


@dataclass(frozen=True)
class JointModel:
    """Prototypes of all actions in the space of comparison.

    Attributes:
        space: Maps features on the shared grid.
        options: How warps are fitted.
        prototypes: Of each stage of smoothing, (A, G_s, K).
        sharp: Without smoothing, (A, G, K), for the paths of new videos; None: no paths.
        stiffness: How many times stronger than set the prior is, at least 1: more where videos are in step already.
    """

    space: TimingSpace
    options: JointOptions
    prototypes: list[Tensor]
    sharp: Tensor | None = None
    stiffness: float = 1.0

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
        guide: Guide | None = None,
    ) -> tuple["JointModel", Tensor]:
        """Align training videos with one another, or with the prototypes of some where an action has many.

        Args:
            features: (N, G, C) on the shared grid, total variance 1.
            action: (N,).
            num_actions: A.
            options: How warps are fitted.
            space: How the space of comparison is made.
            theta: (N, d) start; None: the identity.
            guide: What the labels of these videos have to say in the joint fit; None: nothing.

        Returns:
            The model, and theta (N, d) of the training videos.
        """
        some = some_of_each(action, max(space.joint_videos // num_actions, _LEAST))
        start = None if theta is None else theta[some]
        model, found = cls._fit_jointly(
            features[some],
            action[some],
            num_actions=num_actions,
            options=options,
            space=space,
            theta=start,
            guide=None if guide is None else guide.of(some),
        )
        if bool(some.all()):
            return model, found
        every = features.new_empty(len(features), found.shape[1])
        every[some] = found
        signal = model.space(features[~some])
        if model.sharp is None:
            start = None if theta is None else theta[~some]
            every[~some] = model.align(signal, action[~some], theta=start, steps=options.rounds)[0]
        else:  # paths end near enough for the sharpest stage alone
            sharpest = replace(model.options, stages=model.options.stages[-1:])
            last = replace(model, options=sharpest, prototypes=model.prototypes[-1:])
            every[~some] = last.align(signal, action[~some], steps=_STEPS_FROM_PATHS)[0]
        return model, every

    @classmethod
    def _fit_jointly(
        cls,
        features: Tensor,
        action: Tensor,
        *,
        num_actions: int,
        options: JointOptions,
        space: SpaceOptions,
        theta: Tensor | None,
        guide: Guide | None,
    ) -> tuple["JointModel", Tensor]:
        """See :meth:`fit`; all videos are aligned with one another."""
        mapping, plain = TimingSpace(space.derivative, space.sigma).fit(features)
        learned, signal, theta = space_and_start(
            mapping, plain, action, num_actions=num_actions, options=options, space=space, theta=theta, guide=guide
        )
        stiffness = 1.0
        if space.adapt > 0:
            stiffness = stiffness_of(signal, features, action, num_actions=num_actions, space=mapping)
            options = replace(options, smoothness=stiffness * options.smoothness)
        if space.path_rounds > 0:  # paths end near enough for one coarse stage
            options = replace(options, stages=options.stages[-_STAGES_FROM_PATHS:])
        coarse = replace(options, stages=options.stages[:-1] or options.stages)
        fit = fit_jointly(signal, action, num_actions=num_actions, options=coarse, theta=theta, guide=guide)
        prototypes = fit.prototypes[: len(options.stages) - 1]
        grid = torch.linspace(0, 1, signal.shape[1], device=signal.device)
        aligned = sample_rows(signal, cpab_warp(fit.theta, grid, num_cells=options.num_cells))
        share = space.adapt if stiffness < _IN_STEP else 0.0  # what noise hides gives no ground for a weaker prior
        options = adapted(fit.theta, signal, aligned, action, num_actions=num_actions, options=options, share=share)
        sharpest = replace(options, stages=options.stages[-1:])
        fit = fit_jointly(signal, action, num_actions=num_actions, options=sharpest, theta=fit.theta, guide=guide)
        prototypes += fit.prototypes
        sharp = None
        if space.path_rounds > 0:
            aligned = sample_rows(signal, cpab_warp(fit.theta, grid, num_cells=options.num_cells))
            sharp = targets(aligned, action, num_actions=num_actions, options=options)[1]
        return cls(learned, options, prototypes, sharp, stiffness), fit.theta

    def align(
        self, signal: Tensor, action: Tensor, *, theta: Tensor | None = None, steps: int = 8
    ) -> tuple[Tensor, Tensor]:
        """Align new videos with the frozen prototypes; no video changes another's result.

        Args:
            signal: (N, G, K) features in the space of comparison, ``space(features)``.
            action: (N,).
            theta: (N, d) start; None: the best paths where they are used, else the identity.
            steps: Levenberg-Marquardt steps in each stage.

        Returns:
            theta (N, d), and the mean squared distance to the prototype, (N,).
        """
        if theta is None and self.sharp is not None:
            theta = path_warps(signal, self.sharp[action], self.options, **START)
        return fit_to_prototypes(signal, action, self.prototypes, options=self.options, theta=theta, steps=steps)

    def path_warps(self, signal: Tensor, action: Tensor) -> Tensor | None:
        """Return the warps nearest to the best paths to the prototypes, theta (N, d): nothing is iterated to an end.

        Args:
            signal: (N, G, K) features in the space of comparison, ``space(features)``.
            action: (N,).

        Returns:
            theta (N, d); None where the model was fitted without paths.
        """
        if self.sharp is None:
            return None
        return path_warps(signal, self.sharp[action], self.options)

    def steadied(self, theta: Tensor) -> Tensor:
        """Return warps (N, d) that were found without the prior, held back as far as it is stronger than set."""
        if self.stiffness == 1:
            return theta
        grid = torch.linspace(0, 1, _STEADIED_AT, device=theta.device)
        position = cpab_warp(-theta, grid, num_cells=self.options.num_cells)
        smoothness = _STEADINESS * (self.stiffness - 1)
        return warps_from_positions(position, num_cells=self.options.num_cells, smoothness=smoothness)

    def state(self) -> dict[str, Any]:
        """Return tensors and primitives that a checkpoint can hold."""
        options = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self.options).items()}
        return {
            "space": self.space.state(),
            "options": options,
            "prototypes": [p.cpu() for p in self.prototypes],
            "sharp": None if self.sharp is None else self.sharp.cpu(),
            "stiffness": self.stiffness,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], *, device: torch.device | str = "cpu") -> "JointModel":
        """Rebuild from :meth:`state`, on a device."""
        options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in state["options"].items()}
        prototypes = [p.to(device) for p in state["prototypes"]]
        sharp = None if state["sharp"] is None else state["sharp"].to(device)
        space = TimingSpace.from_state(state["space"], device=device)
        return cls(space, JointOptions(**options), prototypes, sharp, state.get("stiffness", 1.0))
