"""CPAB warps with open ends: a video shows a part of the prototype, or more than it.

Two numbers more per video, (begin, end): the prototype times of its first and its last frame,

    prototype time of video time v = begin + (end - begin) T^-theta(v),
    video time of prototype time p = T^theta(s),    s = (p - begin) / (end - begin), itself beyond [0, 1].

With begin = 0 and end = 1 ends are fixed. With begin > 0 the video misses the begin: prototype points before have
video times below 0. With begin < 0 it idles first: its frames are held at prototype time 0 until the action begins.
"""

import torch
from torch import Tensor

from tpl_lightning.functional.warps.cpab import cpab_warp, cpab_warp_jacobian, num_parameters

_EDGE = 0.02  # of the video, over which the weight of its end frames falls
_SHORTEST = 0.25  # part of the prototype that a video shows at least
_LITTLE = 1e-3  # weight of the identity where a video has no frames
_LEAST = 1e-3  # weight of a video where it is not: where nobody is, prototypes are held


def has_open_ends(theta: Tensor, num_cells: int) -> bool:
    """Tell whether theta (N, d) or (N, d + 2) holds the two ends, behind the warp.

    Example:
        >>> has_open_ends(torch.zeros(3, 15), 16), has_open_ends(torch.zeros(3, 17), 16)
        (False, True)
    """
    return theta.shape[1] == num_parameters(num_cells) + 2


def with_ends(theta: Tensor) -> Tensor:
    """Return warps (N, d) with ends that are those of the prototype, (N, d + 2).

    Example:
        >>> with_ends(torch.zeros(1, 3)).tolist()
        [[0.0, 0.0, 0.0, 0.0, 1.0]]
    """
    return torch.cat([theta, torch.zeros_like(theta[:, :1]), torch.ones_like(theta[:, :1])], 1)


def video_times(theta: Tensor, points: Tensor, *, num_cells: int) -> Tensor:
    """Return the video time of prototype times, (N, P); below 0 or above 1 where the video has no frame.

    Args:
        theta: (N, d), or (N, d + 2) with ends.
        points: (P,) or (N, P) in [0, 1].
        num_cells: Cells of the warps.

    Example:
        >>> theta = with_ends(torch.zeros(1, 15))
        >>> theta[:, -2:] = torch.tensor([0.25, 0.75])
        >>> video_times(theta, torch.tensor([0.0, 0.25, 0.5]), num_cells=16).round(decimals=3).tolist()  # no frame at 0
        [[-0.5, 0.0, 0.5]]
    """
    if not has_open_ends(theta, num_cells):
        return cpab_warp(theta, points, num_cells=num_cells)
    begin, end = theta[:, -2:].to(points.dtype).split(1, 1)
    place = (points - begin) / (end - begin)
    inside = place.clamp(0, 1)
    return cpab_warp(theta[:, :-2], inside, num_cells=num_cells) + (place - inside)


def prototype_times(theta: Tensor, times: Tensor, *, num_cells: int) -> Tensor:
    """Return the prototype time of video times, (N, P) in [0, 1]: the inverse of :func:`video_times`, held at its ends.

    Args:
        theta: (N, d), or (N, d + 2) with ends.
        times: (P,) or (N, P) in [0, 1].
        num_cells: Cells of the warps.

    Example:
        >>> theta = with_ends(torch.zeros(1, 15))
        >>> theta[:, -2:] = torch.tensor([0.25, 0.75])  # the video begins late and stops early
        >>> prototype_times(theta, torch.tensor([0.0, 0.5, 1.0]), num_cells=16).round(decimals=3).tolist()
        [[0.25, 0.5, 0.75]]
    """
    if not has_open_ends(theta, num_cells):
        return cpab_warp(-theta, times, num_cells=num_cells)
    begin, end = theta[:, -2:].to(times.dtype).split(1, 1)
    return (begin + (end - begin) * cpab_warp(-theta[:, :-2], times, num_cells=num_cells)).clamp(0, 1)


def prototype_times_jacobian(theta: Tensor, times: Tensor, *, num_cells: int) -> tuple[Tensor, Tensor]:
    """Return :func:`prototype_times` (N, P) and its derivative in theta, (N, P, d) or (N, P, d + 2).

    Example:
        >>> found, jacobian = prototype_times_jacobian(with_ends(torch.zeros(2, 15)), torch.rand(5), num_cells=16)
        >>> found.shape, jacobian.shape
        (torch.Size([2, 5]), torch.Size([2, 5, 17]))
    """
    if not has_open_ends(theta, num_cells):
        found, _, jacobian = cpab_warp_jacobian(-theta, times, num_cells=num_cells)
        return found, jacobian.neg_()
    begin, end = theta[:, -2:].to(times.dtype).split(1, 1)
    warped, _, jacobian = cpab_warp_jacobian(-theta[:, :-2], times, num_cells=num_cells)
    found, share = begin + (end - begin) * warped, warped.unsqueeze(-1)
    jacobian = torch.cat([jacobian * (begin - end).unsqueeze(-1), 1 - share, share], -1)
    return found.clamp(0, 1), jacobian * ((found >= 0) & (found <= 1)).unsqueeze(-1)


def between(theta: Tensor, bounds: Tensor) -> Tensor:
    """Return theta (N, d + 2) for prototypes of which only the part within bounds (N, 2) is left.

    Example:
        >>> theta = with_ends(torch.zeros(1, 15))
        >>> between(theta, torch.tensor([[0.5, 1.0]]))[0, -2:].tolist()  # the first half of the video is idle now
        [-1.0, 1.0]
    """
    first, last = bounds.to(theta).split(1, 1)
    return torch.cat([theta[:, :-2], (theta[:, -2:] - first) / (last - first)], 1)


def first_ends(position: Tensor) -> Tensor:
    """Return begin and end (N, 2) of positions (N, G): the first and last position, or extrapolated where they rest.

    Convention: positions T^-theta, prototype times at even video times.

    Example:
        >>> first_ends(torch.tensor([[0.0, 0.0, 0.25, 0.5, 0.75]])).tolist()  # idle for a half, as fast as the rest
        [[-0.75, 0.75]]
    """
    grid = torch.linspace(0, 1, position.shape[1], dtype=position.dtype, device=position.device)
    inside = (position > 0) & (position < 1)
    first = torch.where(inside, grid, 1.0).amin(1)
    last = torch.maximum(torch.where(inside, grid, 0.0).amax(1), first + 0.05)
    low, high = position[:, 0].clamp(min=0), position[:, -1].clamp(max=1)
    slope = ((high - low) / (last - first)).clamp(0, 1 / _SHORTEST)
    begin, end = low - slope * first * (low <= 0), high + slope * (1 - last) * (high >= 1)
    missing = (_SHORTEST - (end - begin)).clamp(min=0) / 2
    return torch.stack([begin - missing, end + missing], 1)


def between_ends(position: Tensor, ends: Tensor, weight: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
    """Return where positions (N, G) lie between the ends (N, 2), in [0, 1], and what that counts: little outside.

    Convention: positions T^-theta, prototype times at even video times.

    Example:
        >>> place, _ = between_ends(torch.tensor([[0.25, 0.5, 0.75]]), torch.tensor([[0.25, 0.75]]))
        >>> place.tolist()
        [[0.0, 0.5, 1.0]]
    """
    grid = torch.linspace(0, 1, position.shape[1], dtype=position.dtype, device=position.device)
    begin, end = ends.split(1, 1)
    inside = ((position > 0) | (begin >= 0)) & ((position < 1) | (end <= 1))
    place = torch.where(inside, ((position - begin) / (end - begin)).clamp(0, 1), grid)
    return place, weight * torch.where(inside, 1.0, _LITTLE).to(position.dtype)


def coverage(times: Tensor) -> Tensor:
    """Return the weight (N, P, 1) that videos have at prototype points with these video times (N, P).

    1 within the video, falling to almost nothing beyond its ends.

    Example:
        >>> coverage(torch.tensor([[-1.0, 0.0, 0.5, 1.0]]))[0, :, 0].round(decimals=2).tolist()
        [0.0, 1.0, 1.0, 1.0]
    """
    beyond = torch.maximum(-times, times - 1).clamp(min=0)
    return (1 - beyond / _EDGE).clamp(min=_LEAST).unsqueeze(-1)
