"""The one interface of all aligners."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from tpl_lightning.config import Config
from tpl_lightning.data import VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation import Alignment
from tpl_lightning.functional import num_ranks

__all__ = [
    "Aligner",
    "Features",
    "LengthAligner",
    "StoredAligner",
    "check_videos",
    "longest_lengths",
    "make_catalogue",
    "median_lengths",
    "with_epochs",
]

_EPOCHS = 300  # of networks that learn to predict warps
_STEPS = 60  # of one whose aligner has no weights: more change no score


def median_lengths(train: VideoSet) -> dict[str, int]:
    """Return the prototype length of each action: the median length of its training videos, in frames."""
    return {a: int(np.median(train.lengths[train.action == a])) for a in train.actions}


def longest_lengths(train: VideoSet) -> dict[str, int]:
    """Return the length of the longest training video of each action, in frames."""
    return {a: int(train.lengths[train.action == a].max()) for a in train.actions}


def make_catalogue(train: VideoSet, num_channels: int, prototype_length: str = "median") -> dict[str, Any]:
    """Describe the training set in primitives, for a checkpoint.

    Args:
        train: Training videos.
        num_channels: Channels after preprocessing.
        prototype_length: ``median`` or ``longest``, of an action's training videos.
    """
    cache = train.cache
    lengths = median_lengths(train) if prototype_length == "median" else longest_lengths(train)
    return {
        "actions": list(lengths),
        "prototype_lengths": list(lengths.values()),
        "phase_names": {a: list(cache.phase_names.get(a, [])) for a in lengths},
        "num_channels": num_channels,
        "dataset": cache.dataset,
        "extractor": cache.extractor,
        "embedding_channels": cache.num_channels,
    }


def check_videos(videos: VideoSet, catalogue: dict[str, Any]) -> None:
    """Check that videos are of the kind that an aligner was fitted on.

    Raises:
        UserError: If an action is unknown, or the embeddings have another number of channels.
    """
    known, channels = catalogue["actions"], catalogue["embedding_channels"]
    unknown = sorted(set(videos.actions) - set(known))
    if unknown:
        raise UserError(
            f"{videos.cache.path}: action {unknown[0]!r} has no prototype in the checkpoint (it has "
            f"{', '.join(known)}); name the actions to keep with data.actions=[...]."
        )
    if videos.num_channels != channels:
        raise UserError(
            f"{videos.cache.path}: {videos.num_channels} channels per frame, but the checkpoint was trained "
            f"on {channels} ({catalogue['extractor']}); embed the videos with the same extractor."
        )


def with_epochs(config: Config, videos: int) -> Config:
    """Return the configuration with ``train.max_epochs`` as a number, validations within it.

    Args:
        config: The configuration; a number that it gives stays.
        videos: Training videos; where steps are counted, an epoch has one for each batch of all ranks.
    """
    epochs = config.train.max_epochs
    if epochs is None and config.model.aligner == "path" and config.method in ("tpl", "tpl_plus"):
        epochs = -(-_STEPS // max(-(-videos // (config.data.batch_size * num_ranks())), 1))
    epochs = epochs or _EPOCHS
    return replace(
        config, train=replace(config.train, max_epochs=epochs, val_every=min(config.train.val_every, epochs))
    )


class Features(Protocol):
    """What makes features (L, K) of the embeddings (L, C) of a video; a fitted ``Preprocessor`` is one."""

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
    """Learns from training videos, then places the frames of any video on its action's prototype timeline."""

    @abstractmethod
    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Learn from the training videos (no label is looked at to learn a warp, unless ``direct.labels`` says so)."""

    @abstractmethod
    def align(self, videos: VideoSet) -> Alignment:
        """Align videos of actions that were in the training set; no video changes another's result."""

    def features(self) -> Features | None:
        """Return what makes the features that the fitted aligner has learned; None: it learns none."""
        return None

    def unrefined(self) -> "Aligner | None":
        """Return the fitted aligner whose warps this one refines, None where there is none."""
        return None

    def diagnosis(self) -> dict[str, float]:
        """Return figures that tell, without labels, whether a network has learned to align; empty without one."""
        return {}

    def notes(self) -> list[str]:
        """Return what the fitted aligner decided by itself that its user would like to know, one sentence each."""
        return []


class StoredAligner(Aligner):
    """An aligner whose checkpoint holds the prototypes."""

    @abstractmethod
    def prototype_labels(self) -> dict[str, np.ndarray]:
        """Return the stored labels A^ (L,) of each action's prototype [8], -1 where no video voted."""

    @abstractmethod
    def prototypes(self) -> dict[str, np.ndarray]:
        """Return the stored prototype U^ (L, channels) of each action [7], in preprocessed features."""


class LengthAligner(Aligner):
    """Base of the rows that use nothing of a video but its length."""

    def __init__(self) -> None:
        """Start unfitted."""
        self.prototype_length: dict[str, int] = {}

    @abstractmethod
    def positions(self, length: int, prototype_length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return prototype positions of the frames and source positions of the prototype points."""

    def align(self, videos: VideoSet) -> Alignment:
        """Place every video by its length alone."""
        unknown = sorted(set(videos.actions) - set(self.prototype_length))
        if unknown:
            known = ", ".join(self.prototype_length)
            raise UserError(f"action {unknown[0]!r} has no training video; align videos of: {known}.")
        rows = [
            self.positions(int(n), self.prototype_length[str(a)])
            for n, a in zip(videos.lengths, videos.action, strict=True)
        ]
        return Alignment.from_rows(
            video_id=videos.video_id,
            action=videos.action,
            split=videos.split,
            positions=[p for p, _ in rows],
            sources=[s for _, s in rows],
        )
