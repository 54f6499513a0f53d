"""Sums over all ranks that gradients flow through, and rows of all ranks without gradients."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["all_reduce_sum", "gather_rows", "global_mean", "is_distributed"]


def is_distributed() -> bool:
    """Tell whether there is more than this one process."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # type: ignore[override]
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        total = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def all_reduce_sum(values: Tensor) -> Tensor:
    """Return the sum of ``values`` over all ranks; ``values`` itself in a single process.

    The gradient is that of the sum of all ranks' losses. DistributedDataParallel then averages the parameters'
    gradients over the W ranks, so a rank's loss must be W times its share of the wanted loss; see
    :func:`global_mean`. Every rank must call this, with equal shapes.
    """
    return _AllReduceSum.apply(values) if is_distributed() else values


def global_mean(values: Tensor) -> Tensor:
    """Return this rank's share of the mean of ``values`` (B,) over all ranks' entries, times the number of ranks.

    With DistributedDataParallel's averaging, gradients (and logged means over ranks) are those of the mean over the
    joint batch, also where the ranks hold unequal counts. In a single process it is the mean.
    """
    if not is_distributed():
        return values.mean()
    dtype = torch.promote_types(values.dtype, torch.float32)
    count = torch.tensor(len(values), dtype=dtype, device=values.device)
    dist.all_reduce(count)
    return values.sum() * (dist.get_world_size() / count)


@torch.no_grad()
def gather_rows(values: Tensor) -> Tensor:
    """Return the rows of all ranks, one rank's behind the other's, (n_0 + n_1 + ..., ...); no gradient.

    Ranks may hold unequal counts, none too. Every rank must call this, with equal shapes but for the first axis.
    """
    if not is_distributed():
        return values
    count = torch.tensor([len(values)], device=values.device)
    counts = [torch.zeros_like(count) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, count)
    most = int(torch.cat(counts).max())
    padded = values.new_zeros(most, *values.shape[1:])
    padded[: len(values)] = values
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(n)] for part, n in zip(parts, counts, strict=True)])
