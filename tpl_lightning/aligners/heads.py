"""TCC and LAV: a head learns embeddings of timing; the direct fit aligns the videos by them.

Both papers compare frames by nearest neighbours and make no alignment of their own. Here the learned embeddings take
the place of the preprocessed ones in the direct fit (``aligners.direct``), so these rows differ from ``method=direct``
in nothing but the features.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import seed_everything
from torch import Tensor

from tpl_lightning.aligners.direct import DirectAligner
from tpl_lightning.config import Config, config_to_dict
from tpl_lightning.data import EmbeddingDataModule, Preprocessor, Splits, VideoSet
from tpl_lightning.lit import HeadModule
from tpl_lightning.lit import train as train_module
from tpl_lightning.nn import EmbeddingHead
from tpl_lightning.tracking import WandbRun


@dataclass
class LearnedFeatures:
    """Embeddings -> preprocessing -> head, each video's mean removed, total variance 1 over the training frames.

    Attributes:
        preprocessor: Fitted preprocessing.
        head: The trained head, in evaluation mode.
        sizes: What the head was built with.
        scale: Number by which all values are divided.
    """

    preprocessor: Preprocessor
    head: EmbeddingHead
    sizes: dict[str, Any]
    scale: float = 1.0

    @property
    def num_channels(self) -> int:
        """Return the channels of the result."""
        return int(self.sizes["channels"])

    @torch.inference_mode()
    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the features of a video, (L, C) -> (L, ``num_channels``), float32."""
        frames = torch.from_numpy(self.preprocessor(embeddings))[None]
        values = self.head(frames, torch.tensor([frames.shape[1]]))[0]
        features: np.ndarray = ((values - values.mean(0)) / self.scale).numpy()
        return features

    def packed(self, frames: Tensor, lengths: list[int]) -> Tensor:
        """Return the features of videos that lie one behind the other, (F, C) -> (F, ``num_channels``)."""
        return torch.cat([torch.from_numpy(self(video.numpy())) for video in frames.split(lengths)])

    def state(self) -> dict[str, Any]:
        """Return tensors and primitives that a checkpoint can hold."""
        weights = {k: v.detach().cpu().clone() for k, v in self.head.state_dict().items()}
        return {"preprocessor": self.preprocessor.state(), "head": weights, "sizes": self.sizes, "scale": self.scale}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "LearnedFeatures":
        """Rebuild from :meth:`state`."""
        preprocessor = Preprocessor.from_state(state["preprocessor"])
        head = EmbeddingHead(preprocessor.num_channels, **state["sizes"])
        head.load_state_dict(state["head"])
        return cls(preprocessor, head.cpu().eval(), state["sizes"], state["scale"])


class HeadLearner:
    """Trains a head to make the features.

    Args:
        config: The configuration; ``method`` is ``tcc`` or ``lav``.
        run_dir: Folder for the checkpoint and the CSV log.
        wandb_run: Where the training is logged; None: nowhere.
    """

    def __init__(self, config: Config, run_dir: Path, wandb_run: WandbRun | None = None) -> None:
        """Keep the options."""
        self.config, self.run_dir, self.wandb_run = config, run_dir, wandb_run

    def fit(self, train: VideoSet) -> LearnedFeatures:
        """Train the head on the training videos, without their labels."""
        config = self.config
        seed_everything(config.seed, workers=True, verbose=False)
        preprocessor = Preprocessor.fit(train, config.data)
        data = EmbeddingDataModule(
            Splits.of(train=train),
            preprocessor,
            train.actions,
            config.data,
            config.seed,
            few_sizes=config.train.compile,
        )
        module = HeadModule(config_to_dict(config), preprocessor.num_channels)
        train_module(
            module,
            config,
            self.run_dir,
            fingerprint=train.cache.fingerprint(),
            datamodule=data,
            max_epochs=config.head.epochs,
            wandb_run=self.wandb_run,
        )
        sizes = {key: getattr(config.head, key) for key in ("channels", "hidden", "kernel_size", "dropout")}
        features = LearnedFeatures(preprocessor, module.network.cpu().eval(), sizes)
        energy = sum(float(np.square(features(train.read(i))).sum()) for i in range(len(train)))
        features.scale = max((energy / int(train.lengths.sum())) ** 0.5, 1e-6)
        return features

    def load(self, state: dict[str, Any]) -> LearnedFeatures:
        """Rebuild features from ``LearnedFeatures.state()``."""
        return LearnedFeatures.from_state(state)


class HeadAligner(DirectAligner):
    """The direct fit on embeddings that a head has learned; ``method`` is ``tcc`` or ``lav``."""

    def __init__(self, config: Config, run_dir: Path, wandb_run: WandbRun | None = None) -> None:
        """Keep the options."""
        super().__init__(config, run_dir, wandb_run, learner=HeadLearner(config, run_dir, wandb_run))
