"""Joint alignment without a network: warps fitted directly to the ICAE in feature space.

Each video is compared with the mean of the *others* of its action, brought back to the video's own time:

    E_i(theta) = mean_t || r_i(t) ||^2 - level_freedom || mean_t r_i(t) ||^2 + smoothness * mean_c a_c^2,
    r_i(t) = P_i(T^-theta(t)) - U_i(t),

a_c the slope of the velocity field in cell c. The first term is the inverse-consistency averaging error [3] of Naaman
et al. (ICCV 2025), in feature space and with the video left out of its own prototype; the second is the prior that the
paper does without. Minimised by Levenberg-Marquardt with the exact derivative of the warp, from coarse to fine: first
on strongly smoothed signals, then on sharper ones. All videos of all actions are one batch.

Signals are sampled on a grid that all videos share, times j / (G - 1), so nothing is padded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tpl_lightning.functional.cpab import cell_slopes, cpab_warp, cpab_warp_jacobian, num_parameters
from tpl_lightning.functional.smoothing import gaussian_smoother, sample_rows, stage_size

__all__ = [
    "JointFit",
    "JointOptions",
    "centred",
    "chunks",
    "fit_jointly",
    "fit_to_prototypes",
    "targets",
    "warps_from_positions",
]


@dataclass(frozen=True)
class JointOptions:
    """How warps are fitted."""

    num_cells: int = 16
    smoothness: float = 0.1
    """Weight of the prior, for features of total variance 1."""
    stages: tuple[float, ...] = (0.1, 0.05, 0.025, 0.0125)
    """Standard deviation of the Gaussian smoothing in each stage, as a share of the video."""
    rounds: int = 8
    """Most updates of the prototypes in a stage."""
    steps: int = 1
    """Levenberg-Marquardt steps between two updates."""
    leave_one_out: bool = True
    """Compare each video with the mean of the others."""
    level_freedom: float = 0.4
    """How freely a video may lie at a level of its own, 0 to 1. A video's mean tells what it shows longest, so removing
    the mean, as is usual, moves a video that lingers in one phase away from the others; this takes that back. It is
    1 / (1 + rho) for a level with a Gaussian prior of precision rho, profiled out."""
    centre: bool = True
    """Keep the mean theta of each action at 0: a warp common to all videos aligns nothing."""
    largest_step: float = 0.3
    """Cap on a step of the velocity at a knot, in units of [0, 1] per unit of time."""
    tolerance: float = 0.005
    """Rounds end when no velocity changes by more than this, in units of [0, 1] per unit of time."""


@dataclass(frozen=True)
class JointFit:
    """What a joint fit found."""

    theta: Tensor
    """(N, d)."""
    prototypes: list[Tensor]
    """Of each stage, (A, G_s, C) on that stage's grid."""
    error: Tensor
    """(N,) the first term of E_i after the last stage."""


_CHUNK = 64  # videos worked on at once: bounds the memory and stays in the processor's cache; changes no figure


def chunks(count: int) -> list[slice]:
    """Return slices that part so many videos into groups."""
    return [slice(start, start + _CHUNK) for start in range(0, count, _CHUNK)]


@dataclass
class _Problem:
    """One stage: signals, what they are compared with, and the state of Levenberg-Marquardt for every video."""

    signal: Tensor
    """(N, G, C) smoothed videos."""
    options: JointOptions
    theta: Tensor

    def __post_init__(self) -> None:
        size, count = self.signal.shape[1], len(self.signal)
        self.theta = self.theta.clone()
        self.grid = torch.linspace(0, 1, size, dtype=self.signal.dtype, device=self.signal.device)
        eye = torch.eye(self.theta.shape[1], dtype=torch.float64, device=self.signal.device)
        slopes = cell_slopes(eye, num_cells=self.options.num_cells)  # (d, K)
        self.prior = self.options.smoothness * (slopes @ slopes.T) / slopes.shape[1]
        self.damping = torch.full((count,), 1e-3, dtype=torch.float64, device=self.signal.device)

    def prior_energy(self, theta: Tensor) -> Tensor:
        """Return smoothness * mean_c a_c^2, (N,)."""
        return torch.einsum("nd,de,ne->n", theta.double(), self.prior, theta.double())

    def aligned(self, theta: Tensor) -> Tensor:
        """Return U_i o T^theta_i on the grid, (N, G, C), a share of its level removed."""
        times = cpab_warp(theta, self.grid, num_cells=self.options.num_cells)
        aligned = torch.empty_like(self.signal)
        for rows in chunks(len(aligned)):
            aligned[rows] = _less_level(sample_rows(self.signal[rows], times[rows]), self.options)
        return aligned

    def energy(self, signal: Tensor, prototype: Tensor, theta: Tensor) -> Tensor:
        """Return the energies (N,) at ``theta``."""
        residual = sample_rows(prototype, cpab_warp(-theta, self.grid, num_cells=self.options.num_cells))
        return self._mismatch(residual.sub_(signal))[0] + self.prior_energy(theta)

    def _mismatch(self, residual: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the first two terms of the energy (N,), and the levels (N, 1, C) that are free to some degree."""
        size, free = residual.shape[1], self.options.level_freedom
        flat = residual.flatten(1).unsqueeze(1)
        error = torch.bmm(flat, flat.transpose(1, 2)).view(-1).double() / size
        if free == 0:
            return error, None
        level = residual.mean(1, keepdim=True)
        return error - free * level.square().sum((1, 2)).double(), level

    def linearise(
        self, signal: Tensor, prototype: Tensor, slope: Tensor, theta: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return energy (N,), its half gradient (N, d) and Gauss-Newton matrix (N, d, d) at ``theta``.

        With r = P(psi) - U and psi = T^-theta, dr/dtheta = P'(psi) dpsi/dtheta has rank one in the channels, so
        two numbers per point, |P'|^2 and P' . r, are all that the channels leave behind.
        """
        times, _, jacobian = cpab_warp_jacobian(-theta, self.grid, num_cells=self.options.num_cells)
        residual, slope = sample_rows(prototype, times).sub_(signal), sample_rows(slope, times)
        size, free = signal.shape[1], self.options.level_freedom
        error, level = self._mismatch(residual)
        if level is not None:
            residual = residual.sub_(level, alpha=free)
        along = (residual * slope).sum(-1) / size
        strength = slope.square().sum(-1) / size
        gradient = -torch.einsum("ng,ngd->nd", along, jacobian).double() + theta.double() @ self.prior
        matrix = torch.bmm(jacobian.transpose(1, 2), jacobian * strength.unsqueeze(-1)).double() + self.prior
        if free > 0:
            mean = torch.bmm(jacobian.transpose(1, 2), slope) / size  # (N, d, C)
            matrix = matrix - free * torch.bmm(mean, mean.transpose(1, 2)).double()
        return error + self.prior_energy(theta), gradient, matrix

    def minimise(self, target: Callable[[slice], Tensor], steps: int) -> Tensor:
        """Take Levenberg-Marquardt steps; ``target`` gives what some of the videos are compared with, (n, G, C).

        Returns:
            The energies (N,).
        """
        return torch.cat([self._minimise_rows(rows, target(rows), steps) for rows in chunks(len(self.signal))])

    def _minimise_rows(self, rows: slice, prototype: Tensor, steps: int) -> Tensor:
        signal, theta, damping = self.signal[rows], self.theta[rows], self.damping[rows]
        slope = torch.gradient(prototype, dim=1)[0].mul_(prototype.shape[1] - 1)
        energy, gradient, matrix = self.linearise(signal, prototype, slope, theta)
        cap = self.options.largest_step * self.options.num_cells
        for left in reversed(range(steps)):
            diagonal = matrix.diagonal(dim1=1, dim2=2)
            damped = matrix + torch.diag_embed(diagonal * damping.unsqueeze(1) + 1e-9)
            step = -torch.linalg.solve(damped, gradient)
            step = step * (cap / step.abs().amax(1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)
            trial = (theta.double() + step).to(theta.dtype)
            if left > 0:
                found, *around = self.linearise(signal, prototype, slope, trial)
            else:  # nothing comes after it
                found, around = self.energy(signal, prototype, trial), [gradient, matrix]
            better = found < energy
            theta = torch.where(better.unsqueeze(1), trial, theta)
            energy = torch.where(better, found, energy)
            gradient = torch.where(better.unsqueeze(1), around[0], gradient)
            matrix = torch.where(better.view(-1, 1, 1), around[1], matrix)
            damping = torch.where(better, damping * 0.3, damping * 5).clamp(1e-6, 1e6)
        self.theta[rows], self.damping[rows] = theta, damping
        return energy


def _means(values: Tensor, action: Tensor, num_actions: int) -> tuple[Tensor, Tensor]:
    """Return the mean over the videos of each action, (A, ...), and their number (A,)."""
    total = torch.zeros(num_actions, *values.shape[1:], dtype=values.dtype, device=values.device)
    count = torch.bincount(action, minlength=num_actions).to(values.dtype)
    total = total.index_add(0, action, values)
    return total / count.clamp(min=1).view(-1, *[1] * (values.dim() - 1)), count


def centred(theta: Tensor, action: Tensor, *, num_actions: int) -> Tensor:
    """Return theta (N, d) less the mean of its action: a warp common to all videos aligns nothing."""
    return theta - _means(theta, action, num_actions)[0][action]


def targets(aligned: Tensor, action: Tensor, *, num_actions: int, options: JointOptions) -> tuple[Tensor, Tensor]:
    """Return what each video is compared with, (N, G, C), and the prototypes, (A, G, C), a share of levels removed.

    Args:
        aligned: (N, G, C) videos on the prototype timeline.
        action: (N,).
        num_actions: A.
        options: ``leave_one_out`` and ``level_freedom`` are read.
    """
    aligned = _less_level(aligned, options)
    mean, count = _means(aligned, action, num_actions)
    return _others(aligned, mean, count, action, options), mean


def _less_level(aligned: Tensor, options: JointOptions) -> Tensor:
    return torch.sub(aligned, aligned.mean(1, keepdim=True), alpha=options.level_freedom)


def _others(aligned: Tensor, mean: Tensor, count: Tensor, action: Tensor, options: JointOptions) -> Tensor:
    """Return what videos (n, G, C) are compared with: the mean of their action, or of the others in it."""
    target = mean[action]
    if not options.leave_one_out:
        return target
    others = count[action].view(-1, 1, 1) - 1
    # (n m - x) / (n - 1) = m + (m - x) / (n - 1); a video that is alone is compared with itself.
    return torch.addcmul(target, target - aligned, (others > 0) / others.clamp(min=1))


def _stage_signal(signal: Tensor, sigma: float) -> Tensor:
    size = stage_size(sigma, signal.shape[1])
    return gaussian_smoother(sigma, signal.shape[1], size, like=signal) @ signal


def fit_jointly(
    signal: Tensor, action: Tensor, *, num_actions: int, options: JointOptions, theta: Tensor | None = None
) -> JointFit:
    """Align the videos of each action with one another.

    Convention: T^theta maps prototype time to video time, both in [0, 1]; see ``functional.cpab.cpab_warp``.

    Args:
        signal: (N, G, C) features on the shared grid, total variance about 1.
        action: (N,) number of each video's action.
        num_actions: A.
        options: How.
        theta: (N, d) start; None: the identity.

    Returns:
        Warps and the prototypes of every stage.
    """
    if theta is None:
        size = num_parameters(options.num_cells)
        theta = torch.zeros(len(signal), size, dtype=signal.dtype, device=signal.device)
    prototypes: list[Tensor] = []
    error = torch.zeros(len(signal), dtype=torch.float64, device=signal.device)
    for sigma in options.stages:
        problem = _Problem(_stage_signal(signal, sigma), options, theta)
        for _ in range(options.rounds):
            before = problem.theta.clone()
            aligned = problem.aligned(problem.theta)
            mean, count = _means(aligned, action, num_actions)

            def others(rows: slice, aligned: Tensor = aligned, mean: Tensor = mean, count: Tensor = count) -> Tensor:
                return _others(aligned[rows], mean, count, action[rows], options)

            energy = problem.minimise(others, options.steps)
            if options.centre:
                problem.theta = centred(problem.theta, action, num_actions=num_actions)
            error = energy - problem.prior_energy(problem.theta)
            if (problem.theta - before).abs().max() < options.tolerance * options.num_cells:
                break
        theta = problem.theta
        prototypes.append(_means(problem.aligned(theta), action, num_actions)[0])
    return JointFit(theta, prototypes, error)


def fit_to_prototypes(
    signal: Tensor,
    action: Tensor,
    prototypes: Sequence[Tensor],
    *,
    options: JointOptions,
    steps: int = 8,
    theta: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Align new videos with frozen prototypes; no video changes another's result.

    Args:
        signal: (N, G, C) features on the shared grid.
        action: (N,).
        prototypes: Of each stage, (A, G_s, C), from :func:`fit_jointly` with the same stages.
        options: How.
        steps: Levenberg-Marquardt steps in each stage.
        theta: (N, d) start; None: the identity.

    Returns:
        theta (N, d), and E_i without the prior, (N,).
    """
    if theta is None:
        size = num_parameters(options.num_cells)
        theta = torch.zeros(len(signal), size, dtype=signal.dtype, device=signal.device)
    error = torch.zeros(len(signal), dtype=torch.float64, device=signal.device)
    for sigma, prototype in zip(options.stages, prototypes, strict=True):
        problem = _Problem(_stage_signal(signal, sigma), options, theta)

        def own(rows: slice, prototype: Tensor = prototype) -> Tensor:
            return prototype[action[rows]]

        energy = problem.minimise(own, steps)
        theta = problem.theta
        error = energy - problem.prior_energy(theta)
    return theta, error


def warps_from_positions(position: Tensor, *, num_cells: int = 16, smoothness: float = 1e-4, steps: int = 20) -> Tensor:
    """Return the warps whose inverse is closest to given prototype positions: a start for refining any alignment.

    Convention: ``position[i, g]`` = T^-theta_i(g / (G - 1)); video time -> prototype time, ends fixed.

    Args:
        position: (N, G), never decreasing, in [0, 1].
        num_cells: Cells of the warps.
        smoothness: Weight of the prior against mean squared errors of position.
        steps: Levenberg-Marquardt steps.

    Returns:
        theta (N, d).
    """
    options = JointOptions(num_cells=num_cells, smoothness=smoothness)
    size = num_parameters(num_cells)
    theta = torch.zeros(len(position), size, dtype=position.dtype, device=position.device)
    problem = _Problem(position.unsqueeze(-1), options, theta)
    # The signal that tells its own time: compared with it, a video's signal is its position.
    clock = problem.grid.view(1, -1, 1).expand(len(position), -1, -1)
    problem.minimise(lambda rows: clock[rows], steps)
    return problem.theta
