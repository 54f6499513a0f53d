"""Least squares of the direct fit: energies of warps, their linearisation, and Levenberg-Marquardt steps.

See ``groupwise.fit`` for the energy and for how its parts are put together.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tpl_lightning.functional import sample_each, sample_rows, time_slope
from tpl_lightning.functional.warps import (
    cell_slopes,
    coverage,
    has_open_ends,
    num_parameters,
    prototype_times,
    prototype_times_jacobian,
    video_times,
)

FINE_CELLS = 64
"""Cells of warps in full detail."""


@dataclass(frozen=True)
class JointOptions:
    """How warps are fitted, and how the space is made in which they are."""

    num_cells: int = 16
    smoothness: float = 0.1
    """Precision of the prior: weight of the mean square slope of the velocity, for features of total variance 1."""
    scales: tuple[float, ...] = (0.025, 0.0125)
    """Scales: standard deviation of the Gaussian smoothing in each stage, as a share of the video."""
    rounds: int = 6
    """Updates of the barycenters in a stage, one Levenberg-Marquardt step each."""
    offset_shrinkage: float = 0.4
    """Shrinkage of a video's random offset, 0 to 1: 1 / (1 + rho) for an offset with a Gaussian prior of precision
    rho, profiled out. A video's mean tells what it shows longest, so removing the mean, as is usual, moves a video that
    lingers in one phase away from the others; this takes that back."""
    derivative: float = 0.5
    """Share of the energy of the features that their time derivatives get."""
    derivative_sigma: float = 0.0125
    """Gaussian smoothing before differentiation, as a share of the video."""
    shrinkage: float = 0.1
    """Weight of the identity in the noise that the projection whitens; the rougher the first fit, the more it pays."""
    path_rounds: int = 1
    """Rounds of dynamic time warping to the barycenters, between the first fit and the last."""
    empirical_bayes: float = 0.05
    """1 / effective sample size of a residual, for the empirical-Bayes update of the prior (see
    ``groupwise.empirical_bayes``); 0: the prior is as set, for clips in step, too."""
    ends: bool = False
    """Whether ends are open: two parameters more per video, see ``functional.warps.ends``."""
    ends_precision: float = 0.5
    """Precision of the prior on open ends: weight of the squared offset from those of the action's other videos."""
    idle_cost: float = 0.5
    """Cost of a video that idles for as long as the action takes, in proportion: it frees frames of a prior."""


def in_detail(options: JointOptions) -> JointOptions:
    """Return options for long recordings of many short phases, some of them left out or done twice.

    Warps there are steep and change often, and a derivative smoothed over a hundredth of the video blurs whole phases:
    many cells, a weak prior, sharp signals, some of the energy for derivatives between neighbouring points; paths find
    what gradient steps from afar cannot. The first fit is far off there, so less of the noise it shows is believed. The
    level of a long video says little about its phases, and lingering in one moves it.
    """
    return replace(
        options,
        num_cells=FINE_CELLS,
        smoothness=0.03 * options.smoothness,
        scales=(0.0125, 0.003),
        offset_shrinkage=1.0,
        derivative=min(options.derivative, 0.15),
        derivative_sigma=0.002,
        shrinkage=0.3,
        path_rounds=2,
    )


_SHORT_IDLE = 0.02  # of the prototype; of less the cost is quadratic
_SETTLED = 0.002  # change of velocity in units of [0, 1] per unit of time that is too small for another step
CHUNK = 128  # videos worked on at once: bounds the memory; changes no figure


def chunks(count: int, size: int = CHUNK) -> list[slice]:
    """Return slices that part so many videos into groups."""
    return [slice(start, start + size) for start in range(0, count, size)]


@dataclass
class JointProblem:
    """One stage of a fit: its signals, and the state of Levenberg-Marquardt for every video."""

    signal: Tensor
    """(N, G, C) smoothed videos."""
    options: JointOptions
    theta: Tensor
    """(N, d), or (N, d + 2) with open ends."""

    def __post_init__(self) -> None:
        """Make the grid and the prior."""
        size, count = self.signal.shape[1], len(self.signal)
        self.theta = self.theta.clone()
        self.grid = torch.linspace(0, 1, size, dtype=self.signal.dtype, device=self.signal.device)
        self.prior = _prior_precision(self.options, self.theta)
        self.expected = torch.zeros_like(self.theta, dtype=torch.float64)
        if has_open_ends(self.theta, self.options.num_cells):
            self.expected[:, -1] = 1.0
        self.damping = torch.full((count,), 1e-3, dtype=torch.float64, device=self.signal.device)

    def prior_energy(self, theta: Tensor, rows: slice = slice(None)) -> Tensor:
        """Return smoothness * mean_c a_c^2, (N,), and the prior on open ends."""
        moved = theta.double() - self.expected[rows]
        energy = torch.einsum("nd,de,ne->n", moved, self.prior, moved)
        if has_open_ends(theta, self.options.num_cells):
            idle, length = self._idle(theta)
            energy = energy + self.options.idle_cost * (length - _SHORT_IDLE).where(idle > 0, 0).sum(1)
        return energy

    def _idle(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return how far ends are beyond those of the prototype, (N, 2), and a smooth absolute value of it."""
        idle = torch.stack([-theta[:, -2], theta[:, -1] - 1], 1).double().clamp(min=0)
        return idle, (idle.square() + _SHORT_IDLE**2).sqrt()

    def aligned(self, theta: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return U_i o T^theta_i on the grid, (N, G, C), a share of its level removed; and the videos' coverage."""
        times = video_times(theta, self.grid, num_cells=self.options.num_cells)
        cover = coverage(times) if has_open_ends(theta, self.options.num_cells) else None
        aligned = torch.empty_like(self.signal)
        for rows in chunks(len(aligned)):
            level = None if cover is None else cover[rows]
            aligned[rows] = less_offset(
                sample_rows(self.signal[rows], times[rows]), self.options.offset_shrinkage, level
            )
        return aligned, cover

    def energy(self, signal: Tensor, prototype: Tensor, theta: Tensor, rows: slice = slice(None)) -> Tensor:
        """Return the energies (N,) at ``theta``."""
        residual = sample_rows(prototype, prototype_times(theta, self.grid, num_cells=self.options.num_cells))
        return self._mismatch(residual.sub_(signal))[0] + self.prior_energy(theta, rows)

    def _mismatch(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first two terms of the energy (N,), and the levels of the residual (N, 1, C)."""
        flat, level = residual.flatten(1).unsqueeze(1), residual.mean(1, keepdim=True)
        error = torch.bmm(flat, flat.transpose(1, 2)).view(-1).double() / residual.shape[1]
        return error - self.options.offset_shrinkage * level.square().sum((1, 2)).double(), level

    def linearise(
        self, signal: Tensor, prototype: Tensor, slope: Tensor, theta: Tensor, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return energy (N,), its half gradient (N, d) and Gauss-Newton matrix (N, d, d) at ``theta``.

        With r = P(psi) - U and psi = T^-theta, dr/dtheta = P'(psi) dpsi/dtheta has rank one in the channels, so
        two numbers per point, |P'|^2 and P' . r, are all that the channels leave behind.
        """
        times, jacobian = prototype_times_jacobian(theta, self.grid, num_cells=self.options.num_cells)
        residual, slope = sample_each([prototype, slope], times)
        residual = residual.sub_(signal)
        size, free = signal.shape[1], self.options.offset_shrinkage
        error, level = self._mismatch(residual)
        residual = residual.sub_(level, alpha=free)
        along = torch.einsum("ngc,ngc->ng", residual, slope) / size
        strength = torch.linalg.vector_norm(slope, dim=-1).square() / size
        gradient = torch.einsum("ng,ngd->nd", along, jacobian).double()
        gradient = gradient + (theta.double() - self.expected[rows]) @ self.prior
        matrix = torch.bmm(jacobian.transpose(1, 2), jacobian * strength.unsqueeze(-1)).double() + self.prior
        if free > 0:
            mean = torch.bmm(jacobian.transpose(1, 2), slope) / size  # (N, d, C)
            matrix = matrix - free * torch.bmm(mean, mean.transpose(1, 2)).double()
        if has_open_ends(theta, self.options.num_cells):
            idle, length = self._idle(theta)
            cost = self.options.idle_cost / 2 / length  # half, as of all that the gradient holds
            gradient[:, -2:] += cost * idle * idle.new_tensor([-1.0, 1.0])
            matrix.diagonal(dim1=1, dim2=2)[:, -2:] += cost * (idle > 0)
        return error + self.prior_energy(theta, rows), gradient, matrix

    def minimise(self, target: Callable[[slice], Tensor], steps: int) -> Tensor:
        """Take Levenberg-Marquardt steps; ``target`` gives what some of the videos are compared with, (n, G, C).

        A video stays where it is after a step that hardly moves it, so others do not change its result.

        Args:
            target: Of a slice of the videos.
            steps: Most steps.

        Returns:
            The energies (N,).
        """
        size = CHUNK if self.signal.shape[2] > 1 else 4 * CHUNK  # of positions alone, many are little memory
        found = [self._minimise_rows(rows, target(rows), steps) for rows in chunks(len(self.signal), size)]
        return torch.cat(found) if found else self.damping

    def _minimise_rows(self, rows: slice, prototype: Tensor, steps: int) -> Tensor:
        signal, theta, damping = self.signal[rows], self.theta[rows], self.damping[rows]
        slope = time_slope(prototype)
        energy, gradient, matrix = self.linearise(signal, prototype, slope, theta, rows)
        settled = torch.zeros_like(energy, dtype=torch.bool)
        for left in reversed(range(steps)):
            diagonal = matrix.diagonal(dim1=1, dim2=2)
            damped = matrix + torch.diag_embed(diagonal * damping.unsqueeze(1) + 1e-9)
            step = -torch.linalg.solve(damped, gradient)
            trial = (theta.double() + step).to(theta.dtype)
            if left > 0:
                found, *around = self.linearise(signal, prototype, slope, trial, rows)
            else:  # nothing comes after it
                found, around = self.energy(signal, prototype, trial, rows), [gradient, matrix]
            better = (found < energy) & ~settled
            theta = torch.where(better.unsqueeze(1), trial, theta)
            energy = torch.where(better, found, energy)
            gradient = torch.where(better.unsqueeze(1), around[0], gradient)
            matrix = torch.where(better.view(-1, 1, 1), around[1], matrix)
            damping = torch.where(better, damping * 0.3, damping * 5).clamp(1e-6, 1e6)
            if left > 0:
                settled |= step.abs().amax(1) < _SETTLED * self.options.num_cells
                if bool(settled.all()):
                    break
        self.theta[rows], self.damping[rows] = theta, damping
        return energy


def less_offset(signal: Tensor, freedom: float, cover: Tensor | None = None) -> Tensor:
    """Return signals (N, G, C) with the share of their mean removed that is free; the mean is weighted by coverage."""
    if cover is None:
        level = signal.mean(1, keepdim=True)
    else:
        level = (signal * cover).sum(1, keepdim=True) / cover.sum(1, keepdim=True)
    return torch.sub(signal, level, alpha=freedom)


def _prior_precision(options: JointOptions, theta: Tensor) -> Tensor:
    """Return the precision of the prior, (d, d), or (d + 2, d + 2) with open ends."""
    size = num_parameters(options.num_cells)
    slopes = cell_slopes(torch.eye(size, dtype=torch.float64, device=theta.device), num_cells=options.num_cells)
    warp = options.smoothness * (slopes @ slopes.T) / slopes.shape[1]
    return torch.block_diag(warp, options.ends_precision * torch.eye(theta.shape[1] - size).to(warp))
