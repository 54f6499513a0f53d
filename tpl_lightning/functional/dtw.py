"""Dynamic time warping for a batch of videos at once: the global search that gradient steps start from.

Sakoe, Chiba, "Dynamic programming algorithm optimization for spoken word recognition", 1978. A row of the table of
costs needs its left neighbour, R(p) = min(M(p), R(p - 1) + d(p)); with the running sum S of d that is
S(p) + min_{q <= p} (M(q) - S(q)), a running minimum, so a row is a handful of tensor operations.
"""

import torch
from torch import Tensor

__all__ = ["dtw_positions"]

_DIAGONAL, _STAY, _ALONG = 0, 1, 2  # where a cell was reached from: (g - 1, p - 1), (g - 1, p), (g, p - 1)


def dtw_positions(cost: Tensor) -> Tensor:
    """Return the prototype position of each frame on the cheapest monotone path.

    Convention: entry g is the mean, over the prototype points that frame g faces on the path, of p / (P - 1); video
    time -> prototype time, never decreasing. The first and the last are set to 0 and 1, where warps keep them.

    Args:
        cost: (N, G, P) cost of frame g of a video facing point p of its prototype, at least 0; G and P at least 2.

    Returns:
        (N, G) in [0, 1].
    """
    reached = _table(cost)
    count, frames, points = cost.shape
    video = torch.arange(count, device=cost.device)
    frame = torch.full_like(video, frames - 1)
    point = torch.full_like(video, points - 1)
    # A frame faces a run of points; the path is walked backwards, so the last one is met first.
    first = torch.zeros(count, frames, dtype=torch.int64, device=cost.device)
    last = torch.zeros_like(first)
    last[:, -1] = points - 1
    for _ in range(frames + points - 2):  # the longest path; at the start nothing moves any more
        step = reached[video, frame, point]
        first[video, frame] = point
        up, left = (step != _ALONG) & (frame > 0), (step != _STAY) & (point > 0)
        point = point - left.long()
        frame = frame - up.long()
        last[video, frame] = torch.where(up, point, last[video, frame])
    first[:, 0] = 0
    position = (first + last).to(cost.dtype) / (2 * (points - 1))
    position[:, 0], position[:, -1] = 0.0, 1.0
    return position


def _table(cost: Tensor) -> Tensor:
    """Return from where each cell is reached most cheaply, (N, G, P) int8."""
    count, frames, points = cost.shape
    reached = torch.full((count, frames, points), _ALONG, dtype=torch.int8, device=cost.device)
    column = torch.arange(points, device=cost.device)
    previous = cost[:, 0].cumsum(1)
    blocked = cost.new_full((count, 1), torch.inf)
    for g in range(1, frames):
        diagonal = torch.cat([blocked, previous[:, :-1]], 1)
        entered = torch.minimum(diagonal, previous) + cost[:, g]
        total = cost[:, g].cumsum(1)
        best, origin = torch.cummin(entered - total, 1)
        from_above = torch.where(diagonal <= previous, _DIAGONAL, _STAY)
        reached[:, g] = torch.where(origin == column, from_above, _ALONG)
        previous = best + total
    return reached
