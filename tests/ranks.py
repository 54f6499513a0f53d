"""Two processes that talk by gloo, as ranks of a distributed run."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def _enter(rank, work, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    try:
        torch.save(work(rank), f"{folder}/rank{rank}.pt")
    finally:
        if dist.is_initialized():  # the work may have parted already
            dist.destroy_process_group()


def on_two_ranks(work, folder):
    """Run ``work(rank)``, a function of a module, in two processes; return what each of them returned."""
    mp.spawn(_enter, args=(work, str(folder)), nprocs=2)
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]
