"""The direct fit: warps fitted to the features of the videos, without a network."""

import math
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tpl_lightning.aligners.base import Aligner, Features, StateAligner
from tpl_lightning.aligners.decisions import (
    ENDS_ARE_OPEN,
    fit_with_chosen_prior,
    needs_detail,
    needs_open_ends,
    without_rests,
)
from tpl_lightning.aligners.frames import FrameReader
from tpl_lightning.aligners.label_targets import label_channels
from tpl_lightning.aligners.metadata import check_videos, dataset_metadata, stored_metadata
from tpl_lightning.aligners.prior_choice import PriorChoice
from tpl_lightning.aligners.training_videos import TrainingVideos, action_codes, enough_videos, warped_times
from tpl_lightning.config import Config, DataConfig, config_to_dict
from tpl_lightning.data import KEPT_BYTES, Preprocessor, VideoSet
from tpl_lightning.evaluation import Alignment, voted_labels
from tpl_lightning.files import check_same_cache, training_checkpoint
from tpl_lightning.functional import compute_device, is_rank_zero, on_rank_zero, resample
from tpl_lightning.functional.warps import coverage, prototype_times, video_times
from tpl_lightning.groupwise import FINE_CELLS, JointModel, chunks
from tpl_lightning.tracking import WandbRun

_WORTH_TELLING = 2  # times the prior that is set
_RESAMPLED = 16  # videos whose frames are read at prototype times in one call
_CHUNK = 512  # new videos in memory at once


class FeatureLearner(Protocol):
    """Learns what makes the features in which frames are compared."""

    def fit(self, train: VideoSet) -> Features:
        """Learn from the training videos."""

    def load(self, state: dict[str, Any]) -> Features:
        """Rebuild it from ``Features.state()``."""


class _Preprocessing:
    """Features are the preprocessed embeddings."""

    def __init__(self, data: DataConfig) -> None:
        self.data = data

    def fit(self, train: VideoSet) -> Features:
        return Preprocessor.fit(train, self.data)

    def load(self, state: dict[str, Any]) -> Features:
        return Preprocessor.from_state(state)


class DirectAligner(StateAligner):
    """Warps fitted directly to the ICAE in feature space, with a prior (see ``groupwise.fit``).

    Args:
        config: The configuration.
        run_dir: Folder for the checkpoint.
        wandb_run: Not used: nothing is trained.
        learner: What learns the features; None: they are the preprocessed embeddings.
        checkpoint: Name of the file of what was learned, in the run's folder of checkpoints.
    """

    kind = "joint"

    def __init__(
        self,
        config: Config,
        run_dir: Path,
        wandb_run: WandbRun | None = None,
        *,
        learner: FeatureLearner | None = None,
        checkpoint: str = "last.ckpt",
    ) -> None:
        """Keep the options."""
        super().__init__(config, run_dir, wandb_run, checkpoint=checkpoint)
        self.learner: FeatureLearner = learner or _Preprocessing(config.data)
        self.device = compute_device(config.direct.device)

    def fit(self, train: VideoSet, val: VideoSet | None = None) -> None:
        """Align the training videos with one another and store the prototypes."""
        if self.config.resume is None or not self._load_finished(train):
            self.fit_from(None, train)
            self.save()

    def fit_from(self, base: Aligner | None, train: VideoSet) -> None:
        """Align the training videos with one another, from the warps of a fitted aligner; None: from linear ones."""
        features = self.learner.fit(train)
        metadata = dataset_metadata(train, features.num_channels)
        frames = FrameReader(features, KEPT_BYTES)
        some = enough_videos(train, self.config.direct.max_videos)
        fitted = TrainingVideos(some, frames, self.config, metadata, base)
        choice, model, theta, size = on_rank_zero(lambda: self._fit_on_one_rank(fitted))
        if model["options"]["ends"]:
            metadata["prototype_lengths"] = _open_lengths(some, theta)
        self.state = {
            "hyper_parameters": {"config": config_to_dict(self.config), "metadata": metadata},
            "preprocessor": features.state(),
            "joint": model,
            "grid": size,
            "fingerprint": train.cache.fingerprint(),
            "train_id": [str(v) for v in some.video_id],
            "train_theta": theta,
            "select": choice.scores,
            "strength": choice.strength,
        }
        if is_rank_zero():
            self._store_prototypes(train, frames)

    def align(self, videos: VideoSet) -> Alignment:
        """Fit the warp of each video to the stored prototypes; training videos keep the warps of the joint fit."""
        theta = self._warps(videos, FrameReader(self.features()))
        positions = warped_times(prototype_times, theta, videos.lengths, num_cells=self._num_cells())
        return Alignment.of_videos(videos, positions, self._sources(videos, theta))

    def features(self) -> Features:
        """Return what makes the features in which frames are compared."""
        return self.learner.load(self.fitted()["preprocessor"])

    def notes(self) -> list[str]:
        """Tell of warps in detail, of open ends and of a prior that grew."""
        state, found = self.fitted(), []
        if self.config.direct.detail == "auto" and self._num_cells() >= FINE_CELLS:
            found.append("Warps are in full detail: channels that had no say in them agree better (direct.detail).")
        if self.config.warp.ends == "auto" and state["joint"]["options"].get("ends"):
            found.append(ENDS_ARE_OPEN)
        if self.config.direct.labels > 0:
            found.append(
                "Labels of training videos had a say in their warps (direct.labels): CBC and the spread of key events "
                "tell little of how well videos without labels are aligned, PLP does."
            )
        if state.get("select"):
            found.append(PriorChoice(state["strength"], state["select"]).note())
        grown = JointModel.from_state(state["joint"]).precision / state.get("strength", 1.0)
        if grown >= _WORTH_TELLING:
            found.append(
                "The videos are nearly in step, or the features tell little of their tempo: the prior that holds warps "
                f"back is {grown:.0f} times as set (direct.empirical_bayes=0: as set)."
            )
        return found

    def _fit_on_one_rank(self, train: TrainingVideos) -> tuple[PriorChoice, dict[str, Any], Tensor, int]:
        """Return the choice of the prior, the state of the joint fit, theta (N, d) and the grid's size."""
        fine, ends = needs_detail(train), needs_open_ends(train)
        size = train.grid_size(fine=fine)
        labels = label_channels(train.videos, size, self.config.direct.labels, device=self.device)
        start = train.start(train.features(size), train.options(fine=fine, ends=ends), labels=labels)
        choice, model, theta = fit_with_chosen_prior(train, start)
        if ends and not math.isinf(model.precision):
            model, theta = without_rests(train, start, model, theta)
        return choice, model.state(), theta.cpu(), size

    def _load_finished(self, train: VideoSet) -> bool:
        """Take what a resumed run has learned already, if that is all there is to learn; tell whether it was."""
        if not self.checkpoint.is_file() or training_checkpoint(self.checkpoint) is not None:
            return False
        self.load(self.checkpoint)
        check_same_cache(self.fitted()["fingerprint"], train.cache.fingerprint(), self.checkpoint)
        return True

    def _warps(self, videos: VideoSet, frames: FrameReader) -> Tensor:
        """Return theta (N, d), see :meth:`align`."""
        state = self.fitted()
        metadata = stored_metadata(state)
        check_videos(videos, metadata)
        model = JointModel.from_state(state["joint"], device=self.device)
        theta = torch.zeros(len(videos), state["train_theta"].shape[1])
        keep = videos.cache.fingerprint() == state["fingerprint"]
        known = {v: i for i, v in enumerate(state["train_id"])} if keep else {}
        rows = np.array([known.get(str(v), -1) for v in videos.video_id])
        theta[rows >= 0] = state["train_theta"].cpu()[rows[rows >= 0]]
        new = np.flatnonzero(rows < 0)
        for chunk in chunks(len(new), _CHUNK):
            chosen = new[chunk]
            part = videos.select(chosen)
            signal = model.space(frames.on_grid(part, state["grid"]).to(self.device))
            theta[chosen] = model.align(signal, action_codes(part, metadata).to(self.device))[0].cpu()
        return theta

    def _sources(self, videos: VideoSet, theta: Tensor) -> list[np.ndarray]:
        """Return T^theta at the prototype points of each video, (L,)."""
        metadata = stored_metadata(self.fitted())
        lengths = np.array(metadata["prototype_lengths"])[action_codes(videos, metadata).numpy()]
        return warped_times(video_times, theta, lengths, num_cells=self._num_cells())

    def _store_prototypes(self, train: VideoSet, reader: FrameReader) -> None:
        """Add prototypes [7] and their labels [8] to the state."""
        state = self.fitted()
        sources = self._sources(train, self._warps(train, reader))
        labels = voted_labels(sources, train)
        state["prototypes"] = {}
        for action in train.actions:
            total, count, mine = torch.zeros(()), torch.zeros(()), np.flatnonzero(train.action == action)
            for chunk in chunks(len(mine), _RESAMPLED):
                rows = mine[chunk]
                frames = pad_sequence(reader(train, rows), batch_first=True)
                times = torch.stack([torch.from_numpy(sources[i]) for i in rows.tolist()])
                cover = coverage(times)
                total = total + (resample(frames, times, torch.from_numpy(train.lengths[rows])) * cover).sum(0)
                count = count + cover.sum(0)
            state["prototypes"][action] = total / count
        state["prototype_labels"] = {a: torch.from_numpy(np.asarray(labels[a])) for a in train.actions}

    def _num_cells(self) -> int:
        return int(self.fitted()["joint"]["options"]["num_cells"])


def _open_lengths(train: VideoSet, theta: Tensor) -> list[int]:
    """Return the prototype length of each action: the median of what videos would last if they showed all of it."""
    ends = theta[:, -2:].cpu().double().numpy()
    whole = (train.lengths - 1) / (ends[:, 1] - ends[:, 0])
    return [max(round(float(np.median(whole[train.action == a]))) + 1, 2) for a in train.actions]
