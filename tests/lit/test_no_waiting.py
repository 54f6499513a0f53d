"""A training step never asks the device for a value: under fake tensors, which have none, that would raise."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.data.loading.batch import Batch
from tpl_lightning.lit.dtan import DTANModule
from tpl_lightning.lit.module import TPLModule

CATALOGUE = {"actions": ["jump", "turn"], "prototype_lengths": [20, 24], "num_channels": 6, "phase_names": {}}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (TPLModule, ["method=tpl", "warp.recurrences=2", "model.latent_dim=3"]),
        (DTANModule, ["dtan.objective=icae"]),
        (DTANModule, ["dtan.objective=wcss_prior", "warp.num_cells=[4,8]"]),
    ],
)
def test_a_step_waits_for_nothing(kind, options):
    module = kind(config_to_dict(load_config(options)), CATALOGUE)
    module.log_losses = lambda losses: None
    batch = Batch(
        embeddings=torch.randn(4, 30, 6),
        lengths=torch.tensor([30, 20, 25, 2]),
        labels=torch.zeros(4, 30, dtype=torch.long),
        action=torch.tensor([0, 0, 1, 0]),
        video_index=torch.arange(4),
    )
    batch = module.on_before_batch_transfer(batch, 0)
    assert batch.points == 24
    module.training_step(batch, 0)  # constants of the prior are made once, on the host
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = batch._replace(**{k: mode.from_tensor(v) for k, v in batch._asdict().items() if k != "points"})
        parameters = {name: mode.from_tensor(value) for name, value in module.state_dict(keep_vars=True).items()}
        with torch.nn.utils.stateless._reparametrize_module(module, parameters):
            module.training_step(fake, 0).backward()
