"""What ranks do together: sums that gradients flow through, rows of all ranks, and work that one does for all."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from tpl_lightning.errors import UserError
from tpl_lightning.functional.shapes import Float, Shaped

Result = TypeVar("Result")

_PATIENCE = timedelta(days=30)  # others wait for as rank zero works; a rank that dies is noticed at once


def is_distributed() -> bool:
    """Tell whether there is more than this one process."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def num_ranks() -> int:
    """Return how many processes share this run.

    Example:
        >>> num_ranks()
        1
    """
    return dist.get_world_size() if is_distributed() else 1


def is_rank_zero() -> bool:
    """Tell whether this process writes the results: the first of a distributed run, or one that is alone.

    Example:
        >>> is_rank_zero()
        True
    """
    return not is_distributed() or dist.get_rank() == 0


_host_group: tuple[Any, Any] | None = None


def _on_host() -> Any:
    """Return the group that talks by the CPU; every rank makes it at its first use, together."""
    global _host_group
    world = dist.group.WORLD
    if _host_group is None or _host_group[0] is not world:
        _host_group = world, dist.new_group(backend="gloo", timeout=_PATIENCE)
    return _host_group[1]


def on_rank_zero(compute: Callable[[], Result]) -> Result:
    """Return what ``compute`` gives on rank zero, on every rank; the others wait. Tensors are best on the CPU.

    Raises:
        Exception: On every rank, what ``compute`` raised; UserError where rank zero has died.

    Example:
        >>> on_rank_zero(lambda: 6 * 7)
        42
    """
    if not is_distributed():
        return compute()
    if dist.get_rank() != 0:
        received: list[Any] = [None]
        _or_dead(lambda: dist.broadcast_object_list(received, src=0, group=_on_host()))
        value, error = received[0]
        if error is not None:
            raise error
        found: Result = value
        return found
    try:
        sent = [(compute(), None)]
    except Exception as error:
        told = error if isinstance(error, UserError) else RuntimeError(f"rank zero failed: {error}")
        dist.broadcast_object_list([(None, told)], src=0, group=_on_host())
        raise
    dist.broadcast_object_list(sent, src=0, group=_on_host())
    return sent[0][0]


def most_of_ranks(*numbers: int) -> list[int]:
    """Return the largest of each number over all ranks. Every rank must call this; no GPU is waited for.

    Example:
        >>> most_of_ranks(3, 5)
        [3, 5]
    """
    if not is_distributed():
        return list(numbers)
    values = torch.tensor(numbers, dtype=torch.int64)
    _or_dead(lambda: dist.all_reduce(values, op=dist.ReduceOp.MAX, group=_on_host()))
    return [int(value) for value in values]


def wait_for_all() -> None:
    """Return when every rank has come here.

    Example:
        >>> wait_for_all()  # of one process: at once
    """
    most_of_ranks(0)


def part_from_ranks() -> None:
    """End what connects this process with the others.

    Example:
        >>> part_from_ranks()  # of one process: there is nobody to part from
    """
    global _host_group
    if is_distributed():
        _host_group = None  # a group that outlives the connection is destroyed too late
        dist.destroy_process_group()


def _or_dead(call: Callable[[], object]) -> None:
    try:
        call()
    except RuntimeError as error:  # gloo: the connection was closed
        raise UserError("another process of this run has ended before; its own message says why.") from error


def compute_device(name: str = "auto") -> torch.device:
    """Return the device of this process.

    Args:
        name: ``auto``: the GPU of this rank where there is one; or a device, if this machine has it: a model that was
            fitted on a GPU is used on a machine without.

    Raises:
        UserError: If the name is no device.

    Example:
        >>> compute_device("cpu")
        device(type='cpu')
    """
    try:
        wanted = None if name == "auto" else torch.device(name)
    except RuntimeError as error:
        raise UserError(f"direct.device={name}: no device; use auto, cpu, cuda or cuda:1.") from error
    if wanted is not None and (wanted.type != "cuda" or (wanted.index or 0) < torch.cuda.device_count()):
        return wanted
    if not torch.cuda.is_available():
        return torch.device("cpu")
    local = os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or "0" if is_distributed() else "0"
    return torch.device("cuda", int(local) % torch.cuda.device_count())


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


def all_reduce_sum(values: Shaped[Tensor, "*axes"]) -> Shaped[Tensor, "*axes"]:
    """Return the sum of ``values`` over all ranks; ``values`` itself in a single process.

    The gradient is that of the sum of all ranks' losses. DistributedDataParallel then averages the parameters'
    gradients over the W ranks, so a rank's loss must be W times its share of the wanted loss; see
    :func:`global_mean`. Every rank must call this, with equal shapes.

    Example:
        >>> all_reduce_sum(torch.tensor([1.0, 2.0])).tolist()  # of one process: as it is
        [1.0, 2.0]
    """
    return _AllReduceSum.apply(values) if is_distributed() else values


def global_mean(values: Float[Tensor, "B"]) -> Float[Tensor, ""]:
    """Return this rank's share of the mean of ``values`` (B,) over all ranks' entries, times the number of ranks.

    With DistributedDataParallel's averaging, gradients (and logged means over ranks) are those of the mean over the
    joint batch, also where the ranks hold unequal counts. In a single process it is the mean.

    Example:
        >>> global_mean(torch.tensor([1.0, 3.0])).item()
        2.0
    """
    if not is_distributed():
        return values.mean()
    dtype = torch.promote_types(values.dtype, torch.float32)
    count = torch.tensor(len(values), dtype=dtype, device=values.device)
    dist.all_reduce(count)
    return values.sum() * (dist.get_world_size() / count)


@torch.no_grad()
def gather_rows(values: Shaped[Tensor, "B *axes"]) -> Shaped[Tensor, "rows *axes"]:
    """Return the rows of all ranks, one rank's behind the other's, (n_0 + n_1 + ..., ...); no gradient.

    Ranks may hold unequal counts, none too. Every rank must call this, with equal shapes but for the first axis.

    Example:
        >>> gather_rows(torch.tensor([[1.0], [2.0]])).tolist()  # of one process: its own
        [[1.0], [2.0]]
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
