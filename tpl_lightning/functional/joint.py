"""Joint alignment without a network: warps fitted directly to the ICAE in feature space.

Each video is compared with the mean of the *others* of its action, brought back to the video's own time:

    E_i(theta) = mean_t || P_i(T^-theta(t)) - U_i(t) ||^2 + smoothness * mean_c a_c^2,

a_c the slope of the velocity field in cell c. The first term is the inverse-consistency averaging error [3] of Naaman
et al. (ICCV 2025), in feature space and with the video left out of its own prototype; the second is the prior that the
paper does without. Minimised by Levenberg-Marquardt with the exact derivative of the warp, from coarse to fine: first
on strongly smoothed signals, then on sharper ones. All videos of all actions are one batch.

Signals are sampled on a grid that all videos share, times j / (G - 1), so nothing is padded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tpl_lightning.functional.cpab import cell_slopes, cpab_warp, cpab_warp_jacobian, num_parameters

__all__ = ["JointFit", "JointOptions", "fit_jointly", "fit_to_prototypes", "gaussian_smoother", "sample_rows"]


@dataclass(frozen=True)
class JointOptions:
    """How warps are fitted."""

    num_cells: int = 16
    smoothness: float = 0.4
    """Weight of the prior, for features of total variance 1."""
    stages: tuple[float, ...] = (0.1, 0.05, 0.025, 0.0125)
    """Standard deviation of the Gaussian smoothing in each stage, as a share of the video."""
    rounds: int = 8
    """Most updates of the prototypes in a stage."""
    steps: int = 4
    """Levenberg-Marquardt steps between two updates."""
    leave_one_out: bool = True
    """Compare each video with the mean of the others."""
    centre: bool = True
    """Keep the mean theta of each action at 0: a warp common to all videos aligns nothing."""
    largest_step: float = 0.3
    """Cap on a step of the velocity at a knot, in units of [0, 1] per unit of time."""


@dataclass(frozen=True)
class JointFit:
    """What a joint fit found."""

    theta: Tensor
    """(N, d)."""
    prototypes: list[Tensor]
    """Of each stage, (A, G_s, C) on that stage's grid."""
    error: Tensor
    """(N,) the first term of E_i after the last stage."""


def gaussian_smoother(sigma: float, size_in: int, size_out: int, *, like: Tensor) -> Tensor:
    """Return the matrix (size_out, size_in) that smooths a signal on [0, 1] and samples it on another grid.

    Rows are Gaussians of standard deviation ``sigma`` (a share of the signal), cut at the ends and normalised to 1.
    """
    out = torch.linspace(0, 1, size_out, device=like.device, dtype=torch.float64)
    grid = torch.linspace(0, 1, size_in, device=like.device, dtype=torch.float64)
    weight = torch.exp(-0.5 * ((out[:, None] - grid) / sigma).square())
    return (weight / weight.sum(1, keepdim=True)).to(like.dtype)


def stage_size(sigma: float, size: int) -> int:
    """Return the grid on which signals of this smoothness lose nothing: about four points to a standard deviation."""
    return min(size, max(32, round(4 / sigma)))


def sample_rows(signal: Tensor, times: Tensor) -> Tensor:
    """Sample (N, G, C) signals on the shared grid at times (N, P): (N, P, C); linear, ends held."""
    batch, size, channels = signal.shape
    position = (times * (size - 1)).clamp(0, size - 1)
    low = position.floor().clamp(max=size - 2)
    weight = (position - low).unsqueeze(-1)
    index = (low.long() + torch.arange(batch, device=signal.device).unsqueeze(1) * size).flatten()
    flat = signal.reshape(batch * size, channels)
    below, above = flat.index_select(0, index), flat.index_select(0, index + 1)
    return torch.lerp(below.view(batch, -1, channels), above.view(batch, -1, channels), weight)


@dataclass
class _Problem:
    """One stage: signals, what they are compared with, and the state of Levenberg-Marquardt for every video."""

    signal: Tensor
    """(N, G, C) smoothed videos."""
    options: JointOptions
    theta: Tensor

    def __post_init__(self) -> None:
        size, count = self.signal.shape[1], len(self.signal)
        self.grid = torch.linspace(0, 1, size, device=self.signal.device)
        eye = torch.eye(self.theta.shape[1], dtype=torch.float64, device=self.signal.device)
        slopes = cell_slopes(eye, num_cells=self.options.num_cells)  # (d, K)
        self.prior = self.options.smoothness * (slopes @ slopes.T) / slopes.shape[1]
        self.damping = torch.full((count,), 1e-3, dtype=torch.float64, device=self.signal.device)

    def prior_energy(self, theta: Tensor) -> Tensor:
        """Return smoothness * mean_c a_c^2, (N,)."""
        return torch.einsum("nd,de,ne->n", theta.double(), self.prior, theta.double())

    def aligned(self, theta: Tensor) -> Tensor:
        """Return U_i o T^theta_i on the grid, (N, G, C)."""
        return sample_rows(self.signal, cpab_warp(theta, self.grid, num_cells=self.options.num_cells))

    def linearise(self, prototype: Tensor, slope: Tensor, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return energy (N,), its half gradient (N, d) and Gauss-Newton matrix (N, d, d) at ``theta``.

        With r = P(psi) - U and psi = T^-theta, dr/dtheta = P'(psi) dpsi/dtheta has rank one in the channels, so
        two numbers per point, |P'|^2 and P' . r, are all that the channels leave behind.
        """
        times, _, jacobian = cpab_warp_jacobian(-theta, self.grid, num_cells=self.options.num_cells)
        size, channels = self.signal.shape[1:]
        both = sample_rows(torch.cat([prototype, slope], -1), times)
        residual, slope = both[..., :channels] - self.signal, both[..., channels:]
        error = residual.square().sum((1, 2)).double() / size
        along = (residual * slope).sum(-1) / size
        strength = slope.square().sum(-1) / size
        gradient = -torch.einsum("ng,ngd->nd", along, jacobian).double() + theta.double() @ self.prior
        weighted = jacobian * strength.unsqueeze(-1)
        matrix = torch.bmm(jacobian.transpose(1, 2), weighted).double() + self.prior
        return error + self.prior_energy(theta), gradient, matrix

    def minimise(self, prototype: Tensor, steps: int) -> Tensor:
        """Take Levenberg-Marquardt steps against ``prototype`` (N, G, C); return the energies (N,)."""
        size = prototype.shape[1]
        slope = torch.gradient(prototype, dim=1)[0] * (size - 1)
        energy, gradient, matrix = self.linearise(prototype, slope, self.theta)
        cap = self.options.largest_step * self.options.num_cells
        for _ in range(steps):
            diagonal = matrix.diagonal(dim1=1, dim2=2)
            damped = matrix + torch.diag_embed(diagonal * self.damping.unsqueeze(1) + 1e-9)
            step = -torch.linalg.solve(damped, gradient)
            step = step * (cap / step.abs().amax(1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)
            trial = (self.theta.double() + step).to(self.theta.dtype)
            found = self.linearise(prototype, slope, trial)
            better = found[0] < energy
            self.theta = torch.where(better.unsqueeze(1), trial, self.theta)
            energy = torch.where(better, found[0], energy)
            gradient = torch.where(better.unsqueeze(1), found[1], gradient)
            matrix = torch.where(better.view(-1, 1, 1), found[2], matrix)
            self.damping = torch.where(better, self.damping * 0.3, self.damping * 5).clamp(1e-6, 1e6)
        return energy


def _means(values: Tensor, action: Tensor, num_actions: int) -> tuple[Tensor, Tensor]:
    """Return the mean over the videos of each action, (A, ...), and their number (A,)."""
    total = torch.zeros(num_actions, *values.shape[1:], dtype=values.dtype, device=values.device)
    count = torch.bincount(action, minlength=num_actions).to(values.dtype)
    total = total.index_add(0, action, values)
    return total / count.clamp(min=1).view(-1, *[1] * (values.dim() - 1)), count


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
            before = problem.theta
            aligned = problem.aligned(problem.theta)
            mean, count = _means(aligned, action, num_actions)
            target = mean[action]
            if options.leave_one_out:
                n = count[action].view(-1, 1, 1)
                target = torch.where(n > 1, (n * target - aligned) / (n - 1).clamp(min=1), target)
            energy = problem.minimise(target, options.steps)
            if options.centre:
                problem.theta = problem.theta - _means(problem.theta, action, num_actions)[0][action]
            error = energy - problem.prior_energy(problem.theta)
            if (problem.theta - before).abs().max() < 1e-3 * options.num_cells:
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
    steps: int = 16,
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
        energy = problem.minimise(prototype[action], steps)
        theta = problem.theta
        error = energy - problem.prior_energy(theta)
    return theta, error
