"""The one interface of all aligners."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.config import Config
from tpl_lightning.data import VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation import Alignment
from tpl_lightning.files import load_state, save_state
from tpl_lightning.functional import is_rank_zero
from tpl_lightning.tracking import WandbRun


class Features(Protocol):
    """What makes features (L, K) of the embeddings (L, C) of a video; a fitted ``Preprocessor`` is one.

    Example:
        >>> from tpl_lightning.data import ArrayCache, Preprocessor
        >>> videos = VideoSet(ArrayCache([np.eye(4), np.eye(6, 4)], action=["jump", "jump"]))
        >>> features: Features = Preprocessor.fit(videos, Config().data)
        >>> features(videos.read(1)).shape
        (6, 4)
    """

    @property
    def num_channels(self) -> int:
        """Return K."""

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the features of a video."""

    def packed(self, frames: Tensor, lengths: list[int]) -> Tensor:
        """Return the features (F, K) of videos whose embeddings (F, C) lie one behind the other."""

    def state(self) -> dict[str, Any]:
        """Return tensors and primitives that a checkpoint can hold."""


class Aligner(ABC):
    """Learns from training videos, then places the frames of any video on its action's prototype timeline.

    Args:
        config: The configuration.
        run_dir: Folder for checkpoints and the CSV log.
        wandb_run: Where a training is logged; None: nowhere.

    Example:
        >>> from pathlib import Path
        >>> from tpl_lightning.aligners import build_aligner
        >>> from tpl_lightning.config import load_config
        >>> from tpl_lightning.data import ArrayCache
        >>> videos = VideoSet(ArrayCache([np.eye(4), np.eye(6, 4)], action=["jump", "jump"]))
        >>> aligner: Aligner = build_aligner(load_config(["method=linear"]), Path("runs/mine"))
        >>> aligner.fit(videos)
        >>> aligner.align(videos).prototype_length.tolist()
        [5, 5]
    """

    def __init__(self, config: Config, run_dir: Path, wandb_run: WandbRun | None = None) -> None:
        """Keep the options; nothing is read or built before ``fit``."""
        self.config, self.run_dir, self.wandb_run = config, run_dir, wandb_run

    @classmethod
    def from_checkpoint(cls, path: Path, config: Config) -> "Aligner":
        """Load a fitted aligner.

        Raises:
            UserError: If the file is missing or no checkpoint of this kind, or there are none of this kind.
        """
        raise UserError(f"{path}: method={config.method} keeps no checkpoint; fit it on the videos themselves.")

    @abstractmethod
    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Learn from the training videos (no label is looked at to learn a warp, unless ``direct.labels`` says so)."""

    @abstractmethod
    def align(self, videos: VideoSet) -> Alignment:
        """Align videos of actions that were in the training set; no video changes another's result."""

    def features(self) -> Features | None:
        """Return what makes the features that the fitted aligner has learned; None: it learns none."""
        return None

    def diagnosis(self) -> dict[str, float]:
        """Return figures that tell, without labels, whether a network has learned to align; empty without one."""
        return {}

    def notes(self) -> list[str]:
        """Return what the fitted aligner decided by itself that its user would like to know, one sentence each."""
        return []


class StoredAligner(Aligner):
    """An aligner whose checkpoint holds the prototypes.

    Example:
        >>> sorted(StoredAligner.__abstractmethods__)
        ['align', 'fit', 'prototype_labels', 'prototypes']
    """

    @abstractmethod
    def prototype_labels(self) -> dict[str, np.ndarray]:
        """Return the stored labels A^ (L,) of each action's prototype [8], -1 where no video voted."""

    @abstractmethod
    def prototypes(self) -> dict[str, np.ndarray]:
        """Return the stored prototype U^ (L, channels) of each action [7], in preprocessed features."""


class StateAligner(StoredAligner):
    """An aligner whose whole knowledge is one dictionary of tensors and primitives, which is its checkpoint.

    Args:
        config: The configuration.
        run_dir: Folder for the checkpoint.
        wandb_run: Not used: nothing is trained.
        checkpoint: Name of the file in the run's folder of checkpoints.

    Attributes:
        state: What was learned; None before ``fit``.
        device: Where its tensors are.

    Example:
        >>> sorted(StateAligner.__abstractmethods__)
        ['align', 'fit']
    """

    kind: str
    """A key that the checkpoints of no other class have."""

    def __init__(
        self, config: Config, run_dir: Path, wandb_run: WandbRun | None = None, *, checkpoint: str = "last.ckpt"
    ) -> None:
        """Start without knowledge."""
        super().__init__(config, run_dir, wandb_run)
        self.checkpoint = run_dir / "checkpoints" / checkpoint
        self.state: dict[str, Any] | None = None
        self.device = torch.device("cpu")

    @classmethod
    def from_checkpoint(cls, path: Path, config: Config) -> "StateAligner":
        """Load a fitted aligner.

        Raises:
            UserError: If the file is missing or no checkpoint of this kind.
        """
        aligner = cls(config, path.parent.parent)
        aligner.load(path)
        return aligner

    def load(self, path: Path) -> None:
        """Take what a checkpoint holds.

        Raises:
            UserError: If the file is missing or no checkpoint of this kind.
        """
        self.state = load_state(path, self.kind, device=self.device)

    def save(self) -> None:
        """Write the checkpoint, on rank zero."""
        if is_rank_zero():
            save_state(self.fitted(), self.checkpoint)

    def fitted(self) -> dict[str, Any]:
        """Return the state of a fitted aligner."""
        if self.state is None:
            raise RuntimeError("Expected a fitted aligner; call fit or from_checkpoint first.")
        return self.state

    def prototype_labels(self) -> dict[str, np.ndarray]:
        """Return the stored labels A^ (L,) of each action's prototype [8], -1 where no video voted."""
        return {a: labels.cpu().numpy() for a, labels in self.fitted()["prototype_labels"].items()}

    def prototypes(self) -> dict[str, np.ndarray]:
        """Return the stored prototype U^ (L, channels) of each action [7]."""
        return {a: values.cpu().numpy() for a, values in self.fitted()["prototypes"].items()}
