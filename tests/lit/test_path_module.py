"""A step of TPL+: two processes against one, batches against the whole set, annealing by parts of an epoch."""

import pytest
import torch
import torch.distributed as dist

from tests.ranks import on_two_ranks
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.data.loading.batch import Batch
from tpl_lightning.functional.losses.tpl import annealed_weight
from tpl_lightning.lit.callbacks import IcaeWeightAnnealing
from tpl_lightning.lit.path_module import PathTPLModule

CATALOGUE = {"actions": ["jump", "turn"], "prototype_lengths": [30, 26], "num_channels": 3, "phase_names": {}}
LENGTHS, ACTION = torch.tensor([30, 22, 28, 25, 34, 27]), torch.tensor([0, 1, 0, 1, 0, 0])


def path_batch(rows):
    """Videos of one curve at paces of their own, in float64."""
    videos = torch.zeros(6, 34, 3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    for i, n in enumerate(LENGTHS.tolist()):
        pace = 0.5 + torch.rand(1, generator=generator, dtype=torch.float64)
        progress = torch.linspace(0, 1, n, dtype=torch.float64) ** pace
        waves = torch.stack([torch.cos((2 + k + ACTION[i]) * 3 * progress) for k in range(3)], -1)
        videos[i, :n] = waves + 0.1 * torch.randn(n, 3, generator=generator, dtype=torch.float64)
    return Batch(
        embeddings=videos[rows],
        lengths=LENGTHS[rows],
        labels=torch.full((len(rows), 34), -1),
        action=ACTION[rows],
        video_index=torch.tensor(rows),
        points=30,
    )


def path_module(*options):
    torch.manual_seed(1)
    config = config_to_dict(load_config(["model.hidden=6", "model.kernel_size=3", *options]))
    module = PathTPLModule(config, CATALOGUE).double()
    module.log_losses = lambda losses: None
    module.icae_weight = 0.7
    return module


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


class _Trainer:
    max_epochs, current_epoch, num_training_batches = 4, 1, 8


def test_the_weight_of_the_icae_counts_parts_of_an_epoch():
    module = path_module()
    logged = []
    module.log = lambda name, value, **_: logged.append((name, value))
    callback = IcaeWeightAnnealing(2.0, None, fractional=True)
    for step in (0, 7):
        callback.on_train_batch_start(_Trainer(), module, None, step)
        assert module.icae_weight == pytest.approx(annealed_weight(1 + (step + 0.5) / 8, 2.0, 2.0))
    assert [name for name, _ in logged] == ["train/icae_weight"] * 2
    assert logged[0][1] < logged[1][1] < 0.5
