"""Kendall's tau of nearest neighbours: does the order of time survive in an embedding?

Dwibedi et al., Temporal Cycle-Consistency Learning, CVPR 2019, section 4: each frame of video a is matched with its
nearest frame of video b; tau tells how often two frames of a and their matches stand in the same order.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from tpl_lightning.functional import Float, Int, length_mask
from tpl_lightning.functional.scores.video_rows import VideoRows

Distance = Literal["l2", "sqeuclidean", "cosine"]
TauVariant = Literal["a", "b"]

BLOCK = 2**24  # distances, or matches, held at once (64 MB in float32); bounds the memory, changes no figure


def order_counts(index: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Count the pairs u < v of frames whose matches stand in the same and in the opposite order.

    A merge sort from the bottom up, for all rows at once: when two sorted halves meet, every element of the later
    half is looked up in the earlier one. O(T log^2 T) a row instead of T^2.

    Args:
        index: (R, T) integers, the match of each frame; equal matches are ties, counted in neither.
        lengths: (R,) frames of each row; what lies beyond is never read.

    Returns:
        concordant and discordant, each (R,) int64.
    """
    rows, frames = index.shape
    size = 1 << max(frames - 1, 0).bit_length()  # the next power of 2
    # Padding comes last in time and is larger than any match, so it stays last in every half.
    beyond = torch.iinfo(torch.int32).max
    values = torch.full((rows, size), beyond, dtype=torch.int32, device=index.device)
    values[:, :frames] = index.to(torch.int32).where(length_mask(lengths, frames), beyond)
    concordant = torch.zeros(rows, dtype=torch.int64, device=index.device)
    discordant = torch.zeros_like(concordant)
    width = 1
    while width < size:
        halves = values.view(rows, -1, 2, width)
        earlier, later = halves[:, :, 0].contiguous(), halves[:, :, 1].contiguous()
        real = later != beyond
        below = torch.searchsorted(earlier, later, out_int32=True)
        above = width - torch.searchsorted(earlier, later, right=True, out_int32=True)
        concordant += (below * real).flatten(1).sum(1)
        discordant += (above * real).flatten(1).sum(1)
        values = halves.flatten(2).sort(-1).values
        width *= 2
    return concordant, discordant


def kendall_tau(index: Tensor, lengths: Tensor, *, variant: TauVariant = "a") -> Tensor:
    """Return the rank correlation of each row's matches with the order of its frames.

    With n frames, n0 = n (n - 1) / 2 pairs of them, C concordant and D discordant pairs:

        a: (C - D) / n0                    b: (C - D) / sqrt(n0 (C + D))

    Ties: two frames with the same match are neither concordant nor discordant. Variant a, the formula of the TCC
    paper, leaves them in the denominator, so matches that stand still cost something; variant b (what
    ``scipy.stats.kendalltau`` and with it TCC's published code compute) takes them out of one factor.

    Args:
        index: (R, T) integers, the match of each frame.
        lengths: (R,) frames of each row.
        variant: The tie rule.

    Returns:
        (R,) float64 in [-1, 1]; NaN with fewer than two frames, and with variant b where all matches are equal.
    """
    counts = [order_counts(index[rows], lengths[rows]) for rows in _blocks(len(index), index.shape[1])]
    concordant, discordant = (torch.cat(parts) for parts in zip(*counts, strict=True))
    pairs = (lengths * (lengths - 1)).double() / 2
    net = (concordant - discordant).double()
    return net / (pairs if variant == "a" else (pairs * (concordant + discordant)).sqrt())


def _comparable(frames: Tensor, lengths: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Return vectors x (N, T, C) and offsets c (N, T) such that c(v) - x(u) x(v) ranks all v by distance to u."""
    frames = frames.float() if frames.dtype in (torch.float16, torch.bfloat16) else frames
    mask = length_mask(lengths, frames.shape[1])
    frames = frames.where(mask.unsqueeze(-1), 0.0)
    if distance == "cosine":
        frames = torch.nn.functional.normalize(frames, dim=-1)
        offset = torch.zeros_like(frames[..., 0])
    else:
        # A common shift changes no distance, but large means would eat the digits of |x|^2 - 2 x y.
        frames = frames - frames.sum((0, 1)) / lengths.sum()
        offset = frames.square().sum(-1) / 2
    return frames, offset.where(mask, torch.inf)


def _blocks(rows: int, width: int) -> Iterator[slice]:
    """Yield the rows of a table in blocks of at most ``BLOCK`` values: the one bound of the memory."""
    step = max(BLOCK // max(width, 1), 1)
    return (slice(first, min(first + step, rows)) for first in range(0, max(rows, 1), step))


def _nearest(vectors: Tensor, offset: Tensor, first: int, last: int) -> Tensor:
    """Return the frame v of every video with the least c(v) - x(u) x(v), the earliest of equals.

    Args:
        vectors: (N, T, C) x.
        offset: (N, T) c.
        first: The first video whose frames u are asked for.
        last: One past the last.

    Returns:
        (last - first, N, T) int64; at padded frames anything.
    """
    videos, frames, _ = vectors.shape
    query, every = vectors[first:last].flatten(0, 1), vectors.flatten(0, 1).T
    index = torch.empty(len(query), videos, dtype=torch.int64, device=vectors.device)
    for rows in _blocks(len(query), videos * frames):
        distances = torch.addmm(offset.flatten(), query[rows], every, alpha=-1)
        index[rows] = distances.view(-1, videos, frames).argmin(-1)
    return index.view(last - first, frames, videos).transpose(1, 2)


def pairwise_kendall_tau(
    embeddings: Float[Tensor, "N T C"],
    lengths: Int[Tensor, "N"],
    *,
    distance: Distance = "l2",
    variant: TauVariant = "a",
) -> Float[Tensor, "N N"]:
    """Return Kendall's tau of every ordered pair of videos (Dwibedi et al., CVPR 2019).

    For the pair (a, b) each frame u of a gets its nearest frame of b; see :func:`kendall_tau` for the tie rule.
    A pair whose matches all fall on one frame has no order: 0, with either variant.

    Args:
        embeddings: (N, T, C), padded at the end; padding is never read.
        lengths: (N,) frames of each video, at least 1.
        distance: By which "nearest" is meant; "l2" and "sqeuclidean" give the same.
        variant: The tie rule, "a" or "b".

    Returns:
        (N, N) float64, row a and column b; NaN on the diagonal, and in the rows of videos of a single frame.

    Example:
        >>> walk = torch.arange(4.0).view(1, 4, 1)
        >>> pairwise_kendall_tau(torch.cat([walk, walk.flip(1)]), torch.tensor([4, 4])).tolist()
        [[nan, -1.0], [-1.0, nan]]
    """
    videos, frames, _ = embeddings.shape
    vectors, offset = _comparable(embeddings, lengths, distance)
    rows = []
    for block in _blocks(videos, frames * videos):
        index = _nearest(vectors, offset, block.start, block.stop).flatten(0, 1)
        count = lengths[block].repeat_interleave(videos)
        tau = kendall_tau(index, count, variant=variant)
        rows.append(tau.nan_to_num(0.0).where(count > 1, torch.nan).view(-1, videos))
    return torch.cat(rows).fill_diagonal_(torch.nan)


def kendall_tau_sums(
    videos: VideoRows, *, num_actions: int, distance: Distance = "l2", variant: TauVariant = "a"
) -> tuple[Tensor, Tensor]:
    """Sum up Kendall's tau over the ordered pairs of videos of each action, see :func:`pairwise_kendall_tau`.

    Args:
        videos: The videos.
        num_actions: A.
        distance: By which "nearest" is meant.
        variant: The tie rule, "a" or "b".

    Returns:
        The sum of the scores and the number of pairs, each (A,), float64 and int64.

    Example:
        >>> frames, labels = torch.tensor([[0.0], [1.0], [2.0], [0.0], [1.0]]), torch.tensor([0, 1, 1, 0, 1])
        >>> videos = VideoRows(frames, labels, torch.tensor([3, 2]), torch.tensor([0, 0]))
        >>> total, pairs = kendall_tau_sums(videos, num_actions=1)
        >>> (total / pairs).round(decimals=3).tolist()
        [0.833]
    """
    total = torch.zeros(num_actions, dtype=torch.float64, device=videos.frames.device)
    count = torch.zeros(num_actions, dtype=torch.int64, device=videos.frames.device)
    for action in videos.action.unique().tolist():
        own = videos.of_action(action)
        tau = pairwise_kendall_tau(own.padded(), own.lengths, distance=distance, variant=variant)
        total[action], count[action] = tau.nansum(), (~tau.isnan()).sum()
    return total, count
