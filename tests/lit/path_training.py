"""TPL+ on six small videos in float64: batches of some of them, and the module."""

import torch

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.data.loading.batch import Batch
from tpl_lightning.lit.path_module import PathTPLModule

METADATA = {"actions": ["jump", "turn"], "prototype_lengths": [30, 26], "num_channels": 3, "phase_names": {}}
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
    module = PathTPLModule(config, METADATA).double()
    module.log_losses = lambda losses: None
    module.icae_weight = 0.7
    return module
