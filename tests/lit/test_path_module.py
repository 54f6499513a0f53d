"""A step of TPL+: two processes against one, batches against the whole set, gradients of both losses."""

import pytest
import torch
import torch.distributed as dist

from tests.lit.path_training import path_batch, path_module
from tests.ranks import on_two_ranks


def _step(rows, *options):
    """Fill the bank, take two steps without moving the weights; loss and gradients of the second."""
    module = path_module(*options)
    module.fill_bank(lambda: iter([path_batch(rows)]))
    module.training_step(path_batch(rows), 0)
    loss = module.training_step(path_batch(rows), 1)
    loss.backward()
    bank = {"aligned": module.bank.aligned, "times": module.bank.times, "icae": module.model.running_icae}
    return {"loss": loss.detach(), **bank, **{f"grad {n}": p.grad for n, p in module.named_parameters()}}


SPLITS = ([0, 1], [2, 3, 4, 5])
OPTIONS = {"preset": (), "per action": ("model.per_action=true", "model.encoder=tcn", "model.latent_dim=2")}


def _work(rank):
    found = {}
    for name, options in OPTIONS.items():
        found[name] = _step(SPLITS[rank], *options)
        for key, value in found[name].items():
            if key.startswith("grad") or key == "loss":  # as DistributedDataParallel averages them
                dist.all_reduce(value)
                value /= 2
    return found


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    return on_two_ranks(_work, tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("name", OPTIONS)
def test_two_processes_equal_one(ranks, name):
    expected = _step([0, 1, 2, 3, 4, 5], *OPTIONS[name])
    for rank in range(2):
        for key, value in expected.items():
            torch.testing.assert_close(
                ranks[rank][name][key], value, rtol=1e-6, atol=1e-6, msg=lambda m, k=key: f"{k} {m}"
            )


def test_a_batch_of_some_videos_has_the_prototypes_of_all():
    module = path_module()
    module.fill_bank(lambda: iter([path_batch([0, 1, 2, 3, 4, 5])]))
    before = module.bank.aligned.clone()
    module.training_step(path_batch([2, 3]), 0)
    changed = (module.bank.aligned != before).flatten(1).any(1)
    assert changed.tolist() == [False, False, True, True, False, False]
    alone = path_module()
    alone.fill_bank(lambda: iter([path_batch([2, 3])._replace(video_index=torch.arange(2))]))
    assert (alone.bank.prototypes() - module.bank.prototypes()).abs().max() > 0.01


def test_weights_learn_from_both_losses():
    for weight, reconstruction, silent in ((0.0, 1.0, None), (1.0, 0.0, "decoder")):
        module = path_module(f"loss.reconstruction={reconstruction}")
        module.fill_bank(lambda: iter([path_batch([0, 1, 2, 3, 4, 5])]))
        module.icae_weight = weight
        module.training_step(path_batch([0, 1, 2, 3, 4, 5]), 0).backward()
        assert module.model.encoder.map.weight.grad.abs().max() > 1e-6
        decoder = max(float(p.grad.abs().max()) for p in module.model.decoder.parameters())
        assert (decoder == 0) == (silent == "decoder")
