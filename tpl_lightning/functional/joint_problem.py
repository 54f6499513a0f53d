"""Least squares of the direct fit: energies of warps and their derivatives, and Levenberg-Marquardt steps.

See ``functional.joint`` for the energy and for how its parts are put together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from tpl_lightning.functional.cpab import cell_slopes, cpab_warp, cpab_warp_jacobian
from tpl_lightning.functional.smoothing import sample_each, sample_rows, time_slope
from tpl_lightning.options.fits import DirectConfig

__all__ = ["JointOptions", "JointProblem", "Rows", "chunks", "less_level"]

_DEFAULT = DirectConfig()


@dataclass(frozen=True)
class JointOptions:
    """How warps are fitted."""

    num_cells: int = 16
    smoothness: float = _DEFAULT.smoothness
    """Weight of the prior, for features of total variance 1."""
    stages: tuple[float, ...] = tuple(_DEFAULT.stages)
    """Standard deviation of the Gaussian smoothing in each stage, as a share of the video."""
    rounds: int = 6
    """Most updates of the prototypes in a stage."""
    steps: int = 1
    """Levenberg-Marquardt steps between two updates."""
    leave_one_out: bool = _DEFAULT.leave_one_out
    """Compare each video with the mean of the others."""
    level_freedom: float = _DEFAULT.level_freedom
    """How freely a video may lie at a level of its own, 0 to 1. A video's mean tells what it shows longest, so removing
    the mean, as is usual, moves a video that lingers in one phase away from the others; this takes that back. It is
    1 / (1 + rho) for a level with a Gaussian prior of precision rho, profiled out."""
    sharpen: bool = _DEFAULT.sharpen
    """Move frames from the points of a path to where they fit best between points (``functional.path_warps``)."""
    centre: bool = True
    """Keep the mean theta of each action at 0: a warp common to all videos aligns nothing."""
    largest_step: float = 0.3
    """Cap on a step of the velocity at a knot, in units of [0, 1] per unit of time."""
    tolerance: float = 0.003
    """A video takes part in another round if a velocity of its warp changed by more than this in the last, in units of
    [0, 1] per unit of time."""


Rows: TypeAlias = slice | Tensor
"""Some of the videos: a slice, or their numbers (n,)."""

_SETTLED = 0.002  # change of velocity in units of [0, 1] per unit of time that is too small for another step
_CHUNK = 128  # videos worked on at once: bounds the memory; changes no figure


def chunks(count: int, size: int = _CHUNK) -> list[slice]:
    """Return slices that part so many videos into groups."""
    return [slice(start, start + size) for start in range(0, count, size)]


@dataclass
class JointProblem:
    """One stage of a fit: its signals, and the state of Levenberg-Marquardt for every video."""

    signal: Tensor
    """(N, G, C) smoothed videos."""
    options: JointOptions
    theta: Tensor

    def __post_init__(self) -> None:
        """Make the grid and the prior."""
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
            aligned[rows] = less_level(sample_rows(self.signal[rows], times[rows]), self.options)
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
        residual, slope = sample_each([prototype, slope], times)
        residual = residual.sub_(signal)
        size, free = signal.shape[1], self.options.level_freedom
        error, level = self._mismatch(residual)
        if level is not None:
            residual = residual.sub_(level, alpha=free)
        along = torch.einsum("ngc,ngc->ng", residual, slope) / size
        strength = torch.linalg.vector_norm(slope, dim=-1).square() / size
        gradient = -torch.einsum("ng,ngd->nd", along, jacobian).double() + theta.double() @ self.prior
        matrix = torch.bmm(jacobian.transpose(1, 2), jacobian * strength.unsqueeze(-1)).double() + self.prior
        if free > 0:
            mean = torch.bmm(jacobian.transpose(1, 2), slope) / size  # (N, d, C)
            matrix = matrix - free * torch.bmm(mean, mean.transpose(1, 2)).double()
        return error + self.prior_energy(theta), gradient, matrix

    def minimise(self, target: Callable[[Rows], Tensor], steps: int, videos: Tensor | None = None) -> Tensor:
        """Take Levenberg-Marquardt steps; ``target`` gives what some of the videos are compared with, (n, G, C).

        A video stays where it is after a step that hardly moves it, so others do not change its result.

        Args:
            target: Of a slice of the videos, or of their numbers (n,).
            steps: Most steps.
            videos: (K,) numbers of those that move; None: all.

        Returns:
            Their energies (K,).
        """
        channels = self.signal.shape[2]
        size = _CHUNK if channels > 1 else 4 * _CHUNK  # of positions alone, many are little memory
        groups: Sequence[Rows] = chunks(len(self.signal), size) if videos is None else videos.split(size)
        found = [self._minimise_rows(rows, target(rows), steps) for rows in groups]
        return torch.cat(found) if found else self.damping[:0]

    def _minimise_rows(self, rows: Rows, prototype: Tensor, steps: int) -> Tensor:
        signal, theta, damping = self.signal[rows], self.theta[rows], self.damping[rows]
        slope = time_slope(prototype)
        energy, gradient, matrix = self.linearise(signal, prototype, slope, theta)
        cap = self.options.largest_step * self.options.num_cells
        settled = torch.zeros_like(energy, dtype=torch.bool)
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


def less_level(aligned: Tensor, options: JointOptions) -> Tensor:
    """Return signals (N, G, C) with the share of their mean removed that is free."""
    return torch.sub(aligned, aligned.mean(1, keepdim=True), alpha=options.level_freedom)
