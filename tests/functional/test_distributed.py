"""Sums over ranks and the losses built on them: two processes against one."""

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from tests.conftest import random_tensor
from tests.ranks import on_two_ranks
from tpl_lightning.functional.distributed import (
    all_reduce_sum,
    compute_device,
    global_mean,
    is_distributed,
    is_rank_zero,
    num_ranks,
)
from tpl_lightning.functional.losses.tpl import icae_loss, reconstruction_loss, tpl_loss
from tpl_lightning.functional.masks import frame_times, length_mask
from tpl_lightning.functional.prototypes import PrototypeAccumulator, group_mean
from tpl_lightning.functional.resampling import resample
from tpl_lightning.nn import DMTAE

LENGTHS, ACTION, POINTS = torch.tensor([14, 9, 12, 7, 11]), torch.tensor([0, 2, 0, 2, 1]), torch.tensor([9, 6, 9, 6, 8])
# Videos of each rank: equal and unequal counts, actions that only one rank has, one video alone.
SPLITS = {"pairs": ([0, 1], [2, 3]), "unequal": ([4], [0, 1, 2, 3]), "actions apart": ([1, 3], [0, 2, 4])}


def _loss(latent, aligned, position, decoder, videos, rows):
    """L_TPL [5] with the prototypes of the batch, as in training."""
    points, action, lengths = POINTS[rows], ACTION[rows], LENGTHS[rows]
    mask = length_mask(points, aligned.shape[1])
    prototype = group_mean(aligned, action, mask, num_actions=3, longest=int(POINTS.max()))
    icae = icae_loss(latent, position, prototype, action, lengths, points)
    return tpl_loss(icae, reconstruction_loss(*decoder, videos, lengths), 0.7)


def _videos(rows):
    return random_tensor(5, 14, 3)[rows][:, : int(LENGTHS[rows].max())]


def _linear(rows):
    """Gradient and loss with a linear encoder and fixed warps."""
    weight, videos = random_tensor(3, 2, seed=5).requires_grad_(), _videos(rows)
    source = frame_times(POINTS[rows], int(POINTS[rows].max()), torch.float64) ** 1.3
    position = frame_times(LENGTHS[rows], videos.shape[1], torch.float64) ** (1 / 1.3)
    latent = videos @ weight
    loss = _loss(
        latent,
        resample(latent, source, LENGTHS[rows]),
        position,
        (latent, weight, torch.zeros(3).double()),
        videos,
        rows,
    )
    loss.backward()
    return {"loss": loss.detach(), "grad": weight.grad}


def _network(rows):
    """Gradients and loss of the whole of D-MTAE, wrapped as in training where there is more than one rank."""
    torch.manual_seed(3)
    model = DMTAE(3, latent_dim=2, hidden=6, aligner_filters=2, aligner_depth=3, recurrences=2, num_cells=4).double()
    torch.nn.init.normal_(model.aligner.head.weight, std=0.5)
    # Tiny buckets: gradients are averaged while the backward pass, with its own sums over ranks, goes on.
    net = DistributedDataParallel(model, bucket_cap_mb=0.001) if is_distributed() else model
    videos = _videos(rows)
    out = net(videos, LENGTHS[rows], POINTS[rows])
    decoder = (out.hidden, model.decoder.out.weight, model.decoder.out.bias)
    loss = _loss(out.latent, out.aligned_latent, out.position, decoder, videos, rows)
    loss.backward()
    return {"loss": loss.detach(), **{name: p.grad for name, p in model.named_parameters()}}


def _primitives(rank):
    values = torch.tensor([1.0 + rank, 10.0], requires_grad=True)
    total = all_reduce_sum(values.expand(2, 2).T)  # not contiguous
    ((rank + 1) * total.square()).sum().backward()
    accumulator = PrototypeAccumulator(torch.zeros(2, 3, 1))
    if rank == 0:
        accumulator.add(torch.full((1, 2, 1), 4.0), torch.tensor([1]), torch.ones(1, 2, dtype=torch.bool))
    return {
        "total": total.detach(),
        "grad": values.grad,
        "mean": global_mean(torch.arange(1.0 + 3 * rank)),
        "mean of none": global_mean(torch.arange(4.0) if rank else torch.zeros(0)),
        "prototype": accumulator.finish(),
    }


def _work(rank):
    found = {"primitives": _primitives(rank)}
    for name, rows in SPLITS.items():
        linear = _linear(rows[rank])
        dist.all_reduce(linear["grad"])  # what DistributedDataParallel does: average the gradients
        found[name] = {"linear": {**linear, "grad": linear["grad"] / 2}, "network": _network(rows[rank])}
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return on_two_ranks(_work, tmp_path_factory.mktemp("ranks"))


def test_sum_over_ranks_and_its_gradient(found):
    for rank in range(2):
        primitives = found[rank]["primitives"]
        assert primitives["total"].tolist() == [[3.0, 3.0], [20.0, 20.0]]
        # d/dx of (1 + 2) total^2, both ranks' losses, in each of the two columns.
        assert primitives["grad"].tolist() == [2 * 3 * 2 * 3.0, 2 * 3 * 2 * 20.0]


def test_mean_over_the_videos_of_all_ranks(found):
    # [0] and [0, 1, 2, 3]: shares 0 and 6 of 5 videos, times 2 ranks.
    assert [float(r["primitives"]["mean"]) for r in found] == pytest.approx([0.0, 2 * 6 / 5])
    assert [float(r["primitives"]["mean of none"]) for r in found] == pytest.approx([0.0, 2 * 6 / 4])


def test_prototypes_of_all_ranks(found):
    for rank in range(2):
        assert found[rank]["primitives"]["prototype"].flatten().tolist() == [0, 0, 0, 4, 4, 0]


@pytest.mark.parametrize("model", ["linear", "network"])
@pytest.mark.parametrize("split", SPLITS)
def test_two_processes_equal_one(found, split, model):
    rows = sorted(SPLITS[split][0] + SPLITS[split][1])
    expected = _linear(rows) if model == "linear" else _network(rows)
    results = [found[rank][split][model] for rank in range(2)]
    mean = sum(float(r.pop("loss")) for r in results) / 2
    assert mean == pytest.approx(float(expected.pop("loss")), abs=1e-10)
    for name, grad in expected.items():
        for result in results:
            torch.testing.assert_close(result[name], grad, atol=1e-9, rtol=1e-7, msg=lambda m, n=name: f"{n}: {m}")


def test_a_single_process_needs_no_group():
    values = torch.arange(3.0)
    assert not is_distributed()
    assert all_reduce_sum(values) is values
    assert float(global_mean(values)) == 1.0


def test_a_group_of_one_is_alone(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        assert (is_distributed(), num_ranks(), is_rank_zero()) == (False, 1, True)
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize(
    ("devices", "asked", "found"),
    [
        (0, "auto", "cpu"),
        (0, "cpu", "cpu"),
        (0, "cuda", "cpu"),  # as the run was made on another machine
        (0, "cuda:1", "cpu"),
        (2, "auto", "cuda:0"),
        (2, "cpu", "cpu"),
        (2, "cuda", "cuda"),
        (2, "cuda:1", "cuda:1"),
        (2, "cuda:2", "cuda:0"),
    ],
)
def test_the_device_is_the_one_asked_for_where_it_is_there(monkeypatch, devices, asked, found):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setenv("LOCAL_RANK", "1")  # left over: this process is alone
    assert compute_device(asked) == torch.device(found)
