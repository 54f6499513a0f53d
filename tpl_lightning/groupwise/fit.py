"""Joint alignment without a network: warps fitted directly to the ICAE in feature space.

Each video is compared with the leave-one-out barycenter of its action, brought back to the video's own time:

    E_i(theta) = mean_t || r_i(t) ||^2 - level_freedom || mean_t r_i(t) ||^2 + smoothness * mean_c a_c^2,
    r_i(t) = P_i(T^-theta(t)) - U_i(t),

a_c the slope of the velocity field in cell c. The first term is the inverse-consistency averaging error [3] of Naaman
et al. (ICCV 2025), in feature space and with the video left out of its own prototype; the second is a random offset of
the video, profiled out; the third is the prior that the paper does without. Minimised by Levenberg-Marquardt with the
exact derivative of the warp, from coarse to fine: first on strongly smoothed signals, then on sharper ones. All videos
of all actions are one batch.

Signals are sampled on a grid that all videos share, times j / (G - 1), so nothing is padded.
"""

import torch
from torch import Tensor

from tpl_lightning.functional import sample_rows, smoothed, stage_size
from tpl_lightning.functional.warps import least_squares_warps, num_parameters
from tpl_lightning.groupwise.energy import JointOptions, JointProblem, chunks, less_level

__all__ = [
    "JointOptions",
    "agreement",
    "barycenters",
    "centred",
    "disagreement",
    "fit_jointly",
    "fit_to_prototypes",
    "warps_from_positions",
]


def _sums(values: Tensor, action: Tensor, num_actions: int) -> Tensor:
    """Return the sum over the videos of each action, (A, ...)."""
    total = torch.zeros(num_actions, *values.shape[1:], dtype=values.dtype, device=values.device)
    return total.index_add(0, action, values)


def centred(theta: Tensor, action: Tensor, *, num_actions: int) -> Tensor:
    """Fix the gauge: return theta (N, d) less the mean of its action, as a common warp aligns nothing."""
    count = torch.bincount(action, minlength=num_actions).clamp(min=1).unsqueeze(1)
    return theta - (_sums(theta, action, num_actions) / count)[action]


def barycenters(
    aligned: Tensor, action: Tensor, *, num_actions: int, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the mean of the others of a video's action, (N, G, C), and the mean of each action, (A, G, C).

    A video that is alone is compared with itself.

    Args:
        aligned: (N, G, C) videos on the prototype timeline.
        action: (N,).
        num_actions: A.
        weight: (N, 1, C) 1, or 0 for channels that a video lacks: they are 0 everywhere, and so is what they are
            compared with. None: 1.
    """
    if weight is None:
        weight = aligned.new_ones(len(aligned), 1, 1)
    total, count = _sums(aligned, action, num_actions), _sums(weight, action, num_actions)
    mean = total / count.clamp(min=1)
    others = count[action] - weight
    # (n m - x) / (n - 1) = m + (m - x) / (n - 1)
    target = mean[action]
    return torch.addcmul(target, target - aligned, (others > 0) / others.clamp(min=1)) * weight, mean


def disagreement(aligned: Tensor, action: Tensor, *, num_actions: int) -> float:
    """Return the leave-one-out mean squared error: of a video against the mean of the others, levels aside.

    Args:
        aligned: (N, G, C) videos on one timeline.
        action: (N,).
        num_actions: A.
    """
    aligned = less_level(aligned, 1.0)
    target = barycenters(aligned, action, num_actions=num_actions)[0]
    distance = (target - aligned).square().sum(dtype=torch.float64)
    return float(distance) / max(aligned.shape[0] * aligned.shape[1], 1)


def agreement(features: Tensor, times: Tensor, action: Tensor, *, num_actions: int) -> float:
    """Return the explained variance of the warps, 1 - r / r0: how much better than at equal times videos agree.

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


def _stage_signal(signal: Tensor, sigma: float) -> Tensor:
    return smoothed(signal, sigma, stage_size(sigma, signal.shape[1]))


def _identity(signal: Tensor, options: JointOptions) -> Tensor:
    return signal.new_zeros(len(signal), num_parameters(options.num_cells))


def fit_jointly(
    signal: Tensor,
    action: Tensor,
    *,
    num_actions: int,
    options: JointOptions,
    theta: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Align the videos of each action with one another.

    Convention: T^theta maps prototype time to video time, both in [0, 1]; see ``functional.warps.cpab.cpab_warp``.

    Args:
        signal: (N, G, C) features on the shared grid, total variance about 1.
        action: (N,) number of each video's action.
        num_actions: A.
        options: How.
        theta: (N, d) start; None: the identity.
        weight: (N, 1, C) as for :func:`barycenters`.

    Returns:
        theta (N, d).
    """
    theta = _identity(signal, options) if theta is None else theta
    for sigma in options.stages:
        problem = JointProblem(_stage_signal(signal, sigma), options, theta)
        for _ in range(options.rounds):
            aligned = problem.aligned(problem.theta)
            target = barycenters(aligned, action, num_actions=num_actions, weight=weight)[0]
            problem.minimise(target.__getitem__, 1)
            problem.theta = centred(problem.theta, action, num_actions=num_actions)
        theta = problem.theta
    return theta


def fit_to_prototypes(
    signal: Tensor,
    action: Tensor,
    prototypes: Tensor,
    *,
    options: JointOptions,
    steps: int = 8,
    theta: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Align new videos with frozen prototypes; no video changes another's result.

    Args:
        signal: (N, G, C) features on the shared grid.
        action: (N,).
        prototypes: (A, G, C) the mean of each action's aligned videos.
        options: How.
        steps: Levenberg-Marquardt steps in each stage.
        theta: (N, d) start; None: the identity.

    Returns:
        theta (N, d), and E_i without the prior, (N,).
    """
    theta = _identity(signal, options) if theta is None else theta
    error = torch.zeros(len(signal), dtype=torch.float64, device=signal.device)
    for sigma in options.stages:
        problem = JointProblem(_stage_signal(signal, sigma), options, theta)
        prototype = smoothed(prototypes, sigma, problem.signal.shape[1])
        energy = problem.minimise(lambda rows, prototype=prototype: prototype[action[rows]], steps)  # type: ignore[misc]
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
    options = JointOptions(num_cells=num_cells, smoothness=smoothness, level_freedom=0.0)
    size = num_parameters(num_cells)
    theta = torch.zeros(len(position), size, dtype=position.dtype, device=position.device)
    problem = JointProblem(position.unsqueeze(-1), options, theta)
    for rows in chunks(len(position)):
        problem.theta[rows] = least_squares_warps(
            position[rows],
            torch.ones_like(position[rows]),
            num_cells=num_cells,
            smoothness=smoothness,
            corrections=0,
        )
    # The signal that tells its own time: compared with it, a video's signal is its position.
    clock = problem.grid.view(1, -1, 1).expand(len(position), -1, -1)
    problem.minimise(lambda rows: clock[rows], steps)
    return problem.theta
