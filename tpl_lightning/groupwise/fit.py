"""Joint alignment without a network: warps fitted directly to the ICAE in feature space.

Each video is compared with the leave-one-out barycenter of its action, brought back to the video's own time:

    E_i(theta) = mean_t || r_i(t) ||^2 - offset_shrinkage || mean_t r_i(t) ||^2 + smoothness * mean_c a_c^2,
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

from tpl_lightning.functional import LEAST_WEIGHT, mean_of_others, sample_rows, smoothed, stage_size
from tpl_lightning.functional.warps import (
    between_ends,
    first_ends,
    has_open_ends,
    least_squares_warps,
    num_parameters,
    with_ends,
)
from tpl_lightning.groupwise.energy import JointOptions, JointProblem, chunks, less_offset

_RARE = 0.05  # of the videos may reach beyond a prototype at either end
_ENOUGH, _LEAST = 360, 24  # videos in all, but so many of each action, with more of which fits hardly get better


def enough_of_each(num_actions: int, most: int) -> int:
    """Return how many videos of each action make its prototype while warps are learned, two at least.

    Args:
        num_actions: A.
        most: Videos in all (``direct.max_videos``).
    """
    return min(max(_ENOUGH // num_actions, _LEAST), max(most // num_actions, 2))


def _sums(values: Tensor, action: Tensor, num_actions: int) -> Tensor:
    """Return the sum over the videos of each action, (A, ...)."""
    total = torch.zeros(num_actions, *values.shape[1:], dtype=values.dtype, device=values.device)
    return total.index_add(0, action, values)


def gauge_fixed(theta: Tensor, action: Tensor, *, num_actions: int, num_cells: int = 16) -> Tensor:
    """Fix the gauge: return theta (N, d) less the mean of its action, as a common warp aligns nothing.

    Open ends: the prototype begins where its first videos do, but for few, and ends alike.
    """
    size = num_parameters(num_cells)
    warp = theta[:, :size]
    count = torch.bincount(action, minlength=num_actions).clamp(min=1).unsqueeze(1)
    warp = warp - (_sums(warp, action, num_actions) / count)[action]
    if not has_open_ends(theta, num_cells):
        return warp
    return torch.cat([warp, centred_ends(theta[:, size:], action)], 1)


def centred_ends(ends: Tensor, action: Tensor) -> Tensor:
    """Return open ends (N, 2) of prototypes that begin where their first videos do, but for few, and end alike.

    Example:
        >>> centred_ends(torch.tensor([[-0.5, 1.0], [0.0, 1.5]]), torch.tensor([0, 0])).tolist()
        [[0.0, 0.75], [0.25, 1.0]]
    """
    found = ends.clone()
    for label in action.unique().tolist():
        mine = ends[action == label]
        outside = int(_RARE * len(mine))
        first, last = mine[:, 0].sort()[0][outside], mine[:, 1].sort()[0][len(mine) - 1 - outside]
        found[action == label] = (mine - first) / (last - first)
    return found


def expected_ends(theta: Tensor, action: Tensor, *, num_actions: int) -> Tensor:
    """Return the mean ends of each action, (A, 2), of theta (N, d + 2)."""
    count = torch.bincount(action, minlength=num_actions).clamp(min=1).unsqueeze(1)
    return _sums(theta[:, -2:].double(), action, num_actions) / count


def barycenters(
    aligned: Tensor,
    action: Tensor,
    *,
    num_actions: int,
    weight: Tensor | None = None,
    cover: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the mean of the others of a video's action, (N, G, C), and the mean of each action, (A, G, C).

    A video that is alone is compared with itself.

    Args:
        aligned: (N, G, C) videos on the prototype timeline.
        action: (N,).
        num_actions: A.
        weight: (N, 1, C) 1, or 0 for channels that a video lacks: they are 0 everywhere, and so is what they are
            compared with. None: 1.
        cover: (N, G, 1) weight of a video at each point, see ``functional.warps.coverage``. None: 1.
    """
    part = aligned.new_ones(len(aligned), 1, 1) if weight is None else weight
    part = part if cover is None else part * cover
    count = _sums(part, action, num_actions)
    mean = _sums(aligned if cover is None else aligned * cover, action, num_actions) / count.clamp(min=LEAST_WEIGHT)
    others = mean_of_others(mean[action], aligned, count[action], part)
    return others if weight is None else others * weight, mean


def leave_one_out_error(aligned: Tensor, action: Tensor, *, num_actions: int, cover: Tensor | None = None) -> float:
    """Return the leave-one-out mean squared error: of a video against the mean of the others, levels aside.

    Args:
        aligned: (N, G, C) videos on one timeline.
        action: (N,).
        num_actions: A.
        cover: (N, G, 1) weight of a video at each point, see :func:`barycenters`.
    """
    aligned = less_offset(aligned, 1.0, cover)
    target = barycenters(aligned, action, num_actions=num_actions, cover=cover)[0]
    distance = (target - aligned).square()
    if cover is None:
        return float(distance.sum(dtype=torch.float64)) / max(aligned.shape[0] * aligned.shape[1], 1)
    return float((distance * cover).sum(dtype=torch.float64) / cover.sum(dtype=torch.float64))


def explained_variance(features: Tensor, times: Tensor, action: Tensor, *, num_actions: int) -> float:
    """Return the explained variance of the warps, 1 - r / r0: how much better than at equal times videos agree.

    r is their :func:`leave_one_out_error`, r0 the same under linear rescaling; 0 where that is 0.

    Args:
        features: (N, G, C) on the shared grid.
        times: (N, G) video time of each prototype point, T^theta.
        action: (N,).
        num_actions: A.
    """
    before = leave_one_out_error(features, action, num_actions=num_actions)
    if before == 0:
        return 0.0
    return 1 - leave_one_out_error(sample_rows(features, times), action, num_actions=num_actions) / before


def signal_at_scale(signal: Tensor, sigma: float) -> Tensor:
    """Return signals (N, G, C) smoothed by a Gaussian of a share of the video, on as many points as that needs."""
    return smoothed(signal, sigma, stage_size(sigma, signal.shape[1]))


def still_warps(signal: Tensor, options: JointOptions) -> Tensor:
    """Return theta of warps that are the identity, one for each video (N, ...)."""
    theta = signal.new_zeros(len(signal), num_parameters(options.num_cells))
    return with_ends(theta) if options.ends else theta


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
    theta = still_warps(signal, options) if theta is None else theta
    for sigma in options.scales:
        problem = JointProblem(signal_at_scale(signal, sigma), options, theta)
        for _ in range(options.rounds):
            aligned, cover = problem.aligned(problem.theta)
            target = barycenters(aligned, action, num_actions=num_actions, weight=weight, cover=cover)[0]
            if options.ends:
                problem.expected[:, -2:] = expected_ends(problem.theta, action, num_actions=num_actions)[action]
            problem.minimise(target.__getitem__, 1)
            problem.theta = gauge_fixed(problem.theta, action, num_actions=num_actions, num_cells=options.num_cells)
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
    ends: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Align new videos with frozen prototypes; no video changes another's result.

    Args:
        signal: (N, G, C) features on the shared grid.
        action: (N,).
        prototypes: (A, G, C) the mean of each action's aligned videos.
        options: How.
        steps: Levenberg-Marquardt steps in each stage.
        theta: (N, d) start; None: the identity.
        ends: (A, 2) expected open ends of each action; None: they are fixed.

    Returns:
        theta (N, d), and E_i without the prior, (N,).
    """
    theta = still_warps(signal, options) if theta is None else theta
    error = torch.zeros(len(signal), dtype=torch.float64, device=signal.device)
    for sigma in options.scales:
        problem = JointProblem(signal_at_scale(signal, sigma), options, theta)
        if ends is not None:
            problem.expected[:, -2:] = ends[action]
        prototype = smoothed(prototypes, sigma, problem.signal.shape[1])
        energy = problem.minimise(lambda rows, prototype=prototype: prototype[action[rows]], steps)  # type: ignore[misc]
        theta = problem.theta
        error = energy - problem.prior_energy(theta)
    return theta, error


def warps_from_positions(
    position: Tensor, *, num_cells: int = 16, smoothness: float = 1e-4, steps: int = 12, ends: bool = False
) -> Tensor:
    """Return the warps whose inverse is closest to given prototype positions: a start for refining any alignment.

    Convention: ``position[i, g]`` = T^-theta_i(g / (G - 1)); video time -> prototype time.

    Args:
        position: (N, G), never decreasing, in [0, 1].
        num_cells: Cells of the warps.
        smoothness: Weight of the prior against mean squared errors of position.
        steps: Levenberg-Marquardt steps from the warps that linear least squares finds.
        ends: Whether ends are open.

    Returns:
        theta (N, d), or (N, d + 2) with open ends.
    """
    options = JointOptions(
        num_cells=num_cells, smoothness=smoothness, offset_shrinkage=0.0, ends=ends, ends_precision=1e-6, idle_cost=0.0
    )
    problem = JointProblem(position.unsqueeze(-1), options, still_warps(position, options))
    place, weight = position, torch.ones_like(position)
    if ends:
        problem.theta[:, -2:] = first_ends(position)
        place, weight = between_ends(position, problem.theta[:, -2:])
    for rows in chunks(len(position)):
        problem.theta[rows, : num_parameters(num_cells)] = least_squares_warps(
            place[rows], weight[rows], num_cells=num_cells, smoothness=smoothness, corrections=0
        )
    # The signal that tells its own time: compared with it, a video's signal is its position.
    clock = problem.grid.view(1, -1, 1).expand(len(position), -1, -1)
    problem.minimise(lambda rows: clock[rows], steps)
    return problem.theta
