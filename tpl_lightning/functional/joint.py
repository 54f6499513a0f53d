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

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tpl_lightning.functional.cpab import num_parameters, velocity_basis
from tpl_lightning.functional.joint_problem import JointOptions, JointProblem, Rows, chunks, less_level
from tpl_lightning.functional.smoothing import sample_rows, smoothed, stage_size

__all__ = [
    "Guide",
    "JointFit",
    "JointOptions",
    "agreement",
    "centred",
    "disagreement",
    "fit_jointly",
    "fit_to_prototypes",
    "targets",
    "warps_from_positions",
]


@dataclass(frozen=True)
class Guide:
    """Further channels of training videos that a joint fit aligns as well: what their labels say.

    Attributes:
        channels: (N, G, K) on the shared grid; of videos that have none, anything finite.
        known: (N,) which of the videos have them.
    """

    channels: Tensor
    known: Tensor

    def of(self, videos: Tensor) -> "Guide":
        """Return those of some of the videos, a mask (N,)."""
        return Guide(self.channels[videos], self.known[videos])

    def shared(self, action: Tensor) -> "Guide":
        """Return those of videos that are not the only one of their action (N,) to have any: it tells nothing."""
        of_each = torch.bincount(action[self.known], minlength=int(action.max()) + 1)
        return Guide(self.channels, self.known & (of_each[action] > 1))

    def beside(self, signal: Tensor) -> Tensor:
        """Return signals (N, G, C) with the channels behind their own, (N, G, C + K); 0 where there are none."""
        return torch.cat([signal, self.channels * self.known.view(-1, 1, 1)], -1)


@dataclass(frozen=True)
class JointFit:
    """What a joint fit found."""

    theta: Tensor
    """(N, d)."""
    prototypes: list[Tensor]
    """Of each stage, (A, G_s, C) on that stage's grid."""


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
    aligned = less_level(aligned, options)
    mean, count = _means(aligned, action, num_actions)
    return _others(aligned, mean, count, action, options), mean


def disagreement(aligned: Tensor, action: Tensor, *, num_actions: int) -> float:
    """Return the mean squared distance of a video to the mean of the others of its action, levels aside.

    Args:
        aligned: (N, G, C) videos on one timeline.
        action: (N,).
        num_actions: A.
    """
    options = JointOptions(level_freedom=1.0)
    target = targets(aligned, action, num_actions=num_actions, options=options)[0]
    distance = (target - less_level(aligned, options)).square().sum(dtype=torch.float64)
    return float(distance) / max(aligned.shape[0] * aligned.shape[1], 1)


def agreement(features: Tensor, times: Tensor, action: Tensor, *, num_actions: int) -> float:
    """Return how much better than at equal times videos agree on the prototype timeline: 1 - r / r0, at most 1.

    r is their :func:`disagreement`, r0 the same under linear rescaling; 0 where that is 0.

    Args:
        features: (N, G, C) on the shared grid.
        times: (N, G) video time of each prototype point, T^theta.
        action: (N,).
        num_actions: A.
    """
    before = disagreement(features, action, num_actions=num_actions)
    if before == 0:
        return 0.0
    return 1 - disagreement(sample_rows(features, times), action, num_actions=num_actions) / before


def _others(aligned: Tensor, mean: Tensor, count: Tensor, action: Tensor, options: JointOptions) -> Tensor:
    """Return what videos (n, G, C) are compared with: the mean of their action, or of the others in it."""
    target = mean[action]
    if not options.leave_one_out:
        return target
    others = count[action].view(-1, 1, 1) - 1
    # (n m - x) / (n - 1) = m + (m - x) / (n - 1); a video that is alone is compared with itself.
    return torch.addcmul(target, target - aligned, (others > 0) / others.clamp(min=1))


def _told(aligned: Tensor, known: Tensor, action: Tensor, num_actions: int, options: JointOptions) -> Tensor:
    """Return what the channels (N, G, K) of a guide are compared with; 0, as they are, where there are none."""
    target = torch.zeros_like(aligned)
    mean, count = _means(aligned[known], action[known], num_actions)
    target[known] = _others(aligned[known], mean, count, action[known], options)
    return target


def _stage_signal(signal: Tensor, sigma: float) -> Tensor:
    return smoothed(signal, sigma, stage_size(sigma, signal.shape[1]))


def fit_jointly(
    signal: Tensor,
    action: Tensor,
    *,
    num_actions: int,
    options: JointOptions,
    theta: Tensor | None = None,
    guide: Guide | None = None,
) -> JointFit:
    """Align the videos of each action with one another.

    Convention: T^theta maps prototype time to video time, both in [0, 1]; see ``functional.cpab.cpab_warp``.

    Args:
        signal: (N, G, C) features on the shared grid, total variance about 1.
        action: (N,) number of each video's action.
        num_actions: A.
        options: How.
        theta: (N, d) start; None: the identity.
        guide: Channels that are aligned, too, but no part of the prototypes. None: none.

    Returns:
        Warps and the prototypes of every stage.
    """
    channels = signal.shape[2]
    if guide is not None:
        guide = guide.shared(action)
        signal = guide.beside(signal)
    if theta is None:
        size = num_parameters(options.num_cells)
        theta = torch.zeros(len(signal), size, dtype=signal.dtype, device=signal.device)
    prototypes: list[Tensor] = []
    for sigma in options.stages:
        problem = JointProblem(_stage_signal(signal, sigma), options, theta)
        moving = torch.arange(len(signal), device=signal.device)
        for number in range(options.rounds):
            before = problem.theta.clone()
            aligned = problem.aligned(problem.theta)
            mean, count = _means(aligned, action, num_actions)
            told = None if guide is None else _told(aligned[..., channels:], guide.known, action, num_actions, options)

            def others(
                rows: Rows,
                aligned: Tensor = aligned,
                mean: Tensor = mean,
                count: Tensor = count,
                told: Tensor | None = told,
            ) -> Tensor:
                target = _others(aligned[rows], mean, count, action[rows], options)
                if told is not None:
                    target[..., channels:] = told[rows]
                return target

            problem.minimise(others, options.steps, moving if number else None)
            change = (problem.theta - before)[moving].abs().amax(1)
            if options.centre:
                problem.theta = centred(problem.theta, action, num_actions=num_actions)
            moving = moving[change > options.tolerance * options.num_cells]
            if len(moving) == 0:
                break
        theta = problem.theta
        prototypes.append(_means(problem.aligned(theta)[..., :channels], action, num_actions)[0])
    return JointFit(theta, prototypes)


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
        problem = JointProblem(_stage_signal(signal, sigma), options, theta)

        def own(rows: Rows, prototype: Tensor = prototype) -> Tensor:
            return prototype[action[rows]]

        energy = problem.minimise(own, steps)
        theta = problem.theta
        error = energy - problem.prior_energy(theta)
    return theta, error


def warps_from_positions(position: Tensor, *, num_cells: int = 16, smoothness: float = 1e-4, steps: int = 12) -> Tensor:
    """Return the warps whose inverse is closest to given prototype positions: a start for refining any alignment.

    Convention: ``position[i, g]`` = T^-theta_i(g / (G - 1)); video time -> prototype time, ends fixed.

    Args:
        position: (N, G), never decreasing, in [0, 1].
        num_cells: Cells of the warps.
        smoothness: Weight of the prior against mean squared errors of position.
        steps: Levenberg-Marquardt steps from the warps that linear least squares finds.

    Returns:
        theta (N, d).
    """
    options = JointOptions(num_cells=num_cells, smoothness=smoothness)
    size = num_parameters(num_cells)
    theta = torch.zeros(len(position), size, dtype=position.dtype, device=position.device)
    problem = JointProblem(position.unsqueeze(-1), options, theta)
    for rows in chunks(len(position)):
        problem.theta[rows] = _halfway_warps(position[rows], problem)
    # The signal that tells its own time: compared with it, a video's signal is its position.
    clock = problem.grid.view(1, -1, 1).expand(len(position), -1, -1)
    problem.minimise(lambda rows: clock[rows], steps)
    return problem.theta


def _halfway_warps(position: Tensor, problem: JointProblem) -> Tensor:
    """Return theta (n, d) of positions (n, G) to second order in how far they move, by linear least squares.

    A point of a flow moves as far as the velocity halfway along its way tells, T^-theta(t) - t = -v((t + T^-theta(t))
    / 2), and v is linear in theta.
    """
    cells = problem.options.num_cells
    moved = position.double() - problem.grid.double()
    halfway = (problem.grid + 0.5 * moved).unsqueeze(-1) * cells
    knots = torch.arange(cells + 1, dtype=torch.float64, device=position.device)
    basis = velocity_basis(cells, dtype=torch.float64, device=position.device)
    velocity = (1 - (halfway - knots).abs()).clamp(min=0) @ basis.T  # (n, G, d) of each unit of theta
    matrix = velocity.transpose(1, 2) @ velocity / moved.shape[1] + problem.prior
    matrix.diagonal(dim1=1, dim2=2).add_(1e-9)
    found = torch.linalg.solve(matrix, -(velocity * moved.unsqueeze(-1)).mean(1))
    return found.to(position.dtype)
