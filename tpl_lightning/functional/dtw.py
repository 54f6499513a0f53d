"""Dynamic time warping for a batch of videos at once: the global search that gradient steps start from.

Sakoe, Chiba, "Dynamic programming algorithm optimization for spoken word recognition", 1978. Cells of an anti-diagonal
of the table of costs do not need one another, so each is a handful of tensor operations over all videos.
"""

import torch
from torch import Tensor

from tpl_lightning.functional.shapes import Float

_FORBIDDEN = 1e6  # times the largest cost
_DIAGONAL, _STAY, _ALONG = 0, 1, 2  # where a cell was reached from: (g - 1, p - 1), (g - 1, p), (g, p - 1)


def dtw_positions(cost: Float[Tensor, "N G P"], skip: Float[Tensor, "N"] | None = None) -> Float[Tensor, "N G"]:
    """Return the prototype position of each frame on the cheapest monotone path.

    Convention: entry g is the mean, over the prototype points that frame g faces on the path, of p / (P - 1); video
    time -> prototype time, never decreasing. The first and the last are set to 0 and 1, where warps keep them.

    Open begin, open end: frames before the path are at 0, those behind it at 1; where the path begins later on the
    prototype, the first frame is there.

    Args:
        cost: (N, G, P) cost of frame g of a video facing point p of its prototype, at least 0; G and P at least 2.
        skip: (N,) cost of a frame, or of a point, before the path or behind it; None: ends are fixed.

    Returns:
        (N, G) in [0, 1].

    Example:
        >>> cost = torch.tensor([[[0.0, 1, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0]]])
        >>> dtw_positions(cost).tolist()  # two frames at the first point
        [[0.0, 0.0, 0.5, 1.0]]
    """
    if skip is not None:
        return _open_positions(cost, skip)
    first, last = _runs(cost)
    position = (first + last).to(cost.dtype) / (2 * (cost.shape[2] - 1))
    position[:, 0], position[:, -1] = 0.0, 1.0
    return position


def _open_positions(cost: Tensor, skip: Tensor) -> Tensor:
    """Return the positions on paths that may begin and end anywhere on the border: a frame or a point around it all."""
    points = cost.shape[2]
    first, last = (run[:, 1:-1].clamp(1, points) - 1 for run in _runs(open_costs(cost, skip)))
    # At the ends of a video a frame may face points that others would, were they there.
    first[:, 0], last[:, -1] = last[:, 0], first[:, -1]
    return (first + last).to(cost.dtype) / (2 * (points - 1))


def open_costs(cost: Tensor, skip: Tensor) -> Tensor:
    """Return costs with a border all around, (N, G + 2, P + 2), so that paths through them have open ends.

    A path goes along the border, at ``skip`` (N,) a cell, before it enters the costs (N, G, P) and after it has left
    them: a frame that faces the border is idle, a point that faces it is not in the video. At least one frame faces a
    point.

    Example:
        >>> open_costs(torch.ones(1, 2, 2), torch.tensor([0.5]))[0, 1].tolist()  # the first frame
        [0.5, 1.0, 1.0, 0.5]
    """
    count, frames, points = cost.shape
    framed = skip.to(cost).view(-1, 1, 1).expand(count, frames + 2, points + 2).clone()
    framed[:, 1:-1, 1:-1] = cost
    framed[:, 0, 0] = framed[:, -1, -1] = 0.0
    # There is no way around the costs: neither through a corner nor past it.
    forbidden = _FORBIDDEN * (1 + cost.abs().amax((1, 2))).unsqueeze(1)
    framed[:, 0, -2:] = forbidden
    framed[:, -2:, 0] = forbidden
    return framed


def _runs(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and the last point that each frame faces on the cheapest path, (N, G) int64 each."""
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
        step = reached[frame + point, frame, video]
        first[video, frame] = point
        up, left = (step != _ALONG) & (frame > 0), (step != _STAY) & (point > 0)
        point = point - left.long()
        frame = frame - up.long()
        last[video, frame] = torch.where(up, point, last[video, frame])
    first[:, 0] = 0
    return first, last


def _table(cost: Tensor) -> Tensor:
    """Return from where cell (g, p) is reached most cheaply, at [g + p, g, video], int8; of equals, the diagonal."""
    count, frames, points = cost.shape
    cost = cost.permute(1, 2, 0).contiguous()  # of videos side by side
    reached = torch.zeros(frames + points - 1, frames, count, dtype=torch.int8, device=cost.device)
    # The costs of paths to the cells (g, d - g) of three anti-diagonals d, at g + 1; infinite where there is no cell.
    before, last, found = cost.new_full((3, frames + 1, count), torch.inf).unbind()
    last[1] = cost[0, 0]
    for d in range(1, frames + points - 1):
        low, high = max(0, d - points + 1), min(frames - 1, d) + 1
        left, up, diagonal = last[low + 1 : high + 1], last[low:high], before[low:high]
        best = torch.minimum(left, up)
        straight = diagonal > best  # True where not along the diagonal: _STAY, or _ALONG, one more
        torch.add(straight.view(torch.int8), (straight & (left < up)).view(torch.int8), out=reached[d, low:high])
        # Cell (g, d - g) lies at d + g (P - 1).
        step = (points - 1) * count
        own = cost.as_strided((high - low, count), (step, 1), d * count + low * step)
        torch.add(torch.minimum(best, diagonal), own, out=found[low + 1 : high + 1])
        before, last, found = last, found, before
    return reached
