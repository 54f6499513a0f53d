"""Soft-DTW of a batch, differentiable, and the contrastive regulariser that keeps it from collapsing.

Cuturi, Blondel, "Soft-DTW: a differentiable loss function for time-series", ICML 2017; as a loss for embeddings of
videos: Haresh et al., "Learning by aligning videos in time" (LAV), CVPR 2021; Hadji, Derpanis, Jepson,
"Representation learning via global temporal alignment and cycle-consistency" (GTA), CVPR 2021.
"""

import torch
from torch import Tensor

from tpl_lightning.functional import Float

_FAR = 1e10  # stands for infinity, whose gradient would be NaN


def soft_dtw(cost: Float[Tensor, "B N M"], gamma: float) -> Float[Tensor, "B"]:
    """Return -gamma log sum_paths exp(-cost(path) / gamma) over all monotone paths from (0, 0) to (N - 1, M - 1).

    R[i, j] = cost[i, j] + softmin(R[i - 1, j], R[i, j - 1], R[i - 1, j - 1]), one anti-diagonal at a time.

    Args:
        cost: (B, N, M) of each pair of frames.
        gamma: Smoothing of the minimum, above 0.

    Returns:
        (B,); below the cost of the best path, the more so the larger ``gamma`` is.

    Example:
        >>> cost = torch.tensor([[[0.0, 2.0], [2.0, 0.0]]])
        >>> soft_dtw(cost, 0.01).abs().item() < 1e-6  # the diagonal costs nothing
        True
    """
    batch, rows, columns = cost.shape
    row = torch.arange(rows, device=cost.device)
    column = torch.arange(rows + columns - 1, device=cost.device) - row.unsqueeze(1)
    inside = (column >= 0) & (column < columns)
    # Row i is moved i places to the right, so that an anti-diagonal is a column.
    skewed = cost.gather(2, column.clamp(0, columns - 1).expand(batch, -1, -1))
    far = cost.new_full((batch, 1), _FAR)
    before = cost.new_full((batch, rows), _FAR)
    current = torch.where(inside[:, 0], skewed[:, :, 0], _FAR)
    for k in range(1, rows + columns - 1):
        steps = torch.stack([current, torch.cat([far, current[:, :-1]], 1), torch.cat([far, before[:, :-1]], 1)])
        best = -gamma * torch.logsumexp(-steps / gamma, dim=0)
        before, current = current, torch.where(inside[:, k], skewed[:, :, k] + best, _FAR)
    return current[:, -1]


def contrastive_idm(
    embedding: Float[Tensor, "B N K"], times: Float[Tensor, "B N"], *, window: float = 0.15, margin: float = 2.0
) -> Float[Tensor, "B"]:
    """Return the contrastive inverse difference moment of LAV (Haresh et al. 2021, equation 7), within each video.

        mean_ij  far_ij w_ij max(0, margin - d_ij) + (1 - far_ij) d_ij / w_ij,   w_ij = (dt_ij / spacing)^2 + 1

    with d_ij the squared distance of two frames, dt_ij of their times, and far_ij whether dt_ij > window. Frames far
    apart in time are pushed apart, neighbours are drawn together. The weights of each kind are divided by their sum.

    Args:
        embedding: (B, N, K).
        times: (B, N) in [0, 1].
        window: Share of the video within which frames are neighbours.
        margin: Squared distance beyond which frames are far enough.

    Returns:
        (B,).

    Example:
        >>> times = torch.tensor([[0.0, 0.1, 1.0]])
        >>> near, far = torch.tensor([[[0.0], [0.0], [3.0]]]), torch.tensor([[[0.0], [3.0], [0.0]]])
        >>> contrastive_idm(near, times).item() < contrastive_idm(far, times).item()
        True
    """
    distance = torch.cdist(embedding, embedding).square()
    gap = (times.unsqueeze(2) - times.unsqueeze(1)).abs()
    weight = (gap * times.shape[1]).square() + 1
    far = gap > window
    push, pull = weight * far, ~far / weight
    pushed = (push * (margin - distance).clamp(min=0)).sum((1, 2)) / push.sum((1, 2)).clamp(min=1e-6)
    return pushed + (pull * distance).sum((1, 2)) / pull.sum((1, 2))
