"""A fitted aligner and what is known of the videos that it was fitted on: made, used, and kept in a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from tpl_lightning.aligners import Aligner, StoredAligner, build_aligner, restore_aligner
from tpl_lightning.api.inputs import (
    Labels,
    action_of_each,
    array_videos,
    digest_of,
    read_arrays,
    refuse_with_cache,
    stored_videos,
)
from tpl_lightning.config import Config, save_config
from tpl_lightning.data import ArrayCache, Preprocessor, VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation import Alignment, Quality, assess, voted_labels, warped
from tpl_lightning.files import load_state, save_state
from tpl_lightning.lit import with_epochs
from tpl_lightning.runs import Run, write_metrics

_STATE = "synchronizer.ckpt"


@dataclass
class Fitted:
    """A fitted aligner with its training videos' alignment, prototypes [7] and labels [8].

    Attributes:
        config: Its configuration.
        checkpoints: Its checkpoints, name to content.
        labels: How phases are called.
        alignment: Of the training videos.
        quality: Figures that need no labels.
        known: Digest of each training video to its row.
        prototypes: Action to U^ (L, C).
        prototype_labels: Action to A^ (L,), -1 where no video voted.
    """

    config: Config
    checkpoints: dict[str, bytes]
    labels: Labels
    alignment: Alignment
    quality: Quality
    known: dict[str, int]
    prototypes: dict[str, np.ndarray]
    prototype_labels: dict[str, np.ndarray]
    _aligner: Aligner | None = None

    @classmethod
    def fit(cls, config: Config, train: VideoSet, val: VideoSet | None, labels: Labels) -> "Fitted":
        """Align the training videos and make the prototype of each action."""
        config = with_epochs(config, len(train))
        with TemporaryDirectory(prefix="tpl-") as folder, _manners():
            aligner = build_aligner(config, Path(folder))
            aligner.fit(train, val)
            checkpoints = _contents(Path(folder))
        alignment = aligner.align(train)
        quality = assess(alignment, train, aligner.features() or Preprocessor.fit(train, config.data))
        return cls(config, checkpoints, labels, alignment, quality, *_prototypes(train, alignment, aligner), aligner)

    @classmethod
    def load(cls, folder: str | Path, *, cache: str | Path | None = None) -> "Fitted":
        """Read a folder of :meth:`save`, or a run of ``tpl fit``."""
        run = Run(folder, cache=cache)
        aligner = restore_aligner(run.folder / "checkpoints", run.config, run.alignment)
        checkpoints, quality = _contents(run.folder), Quality.from_metrics(run.metrics)
        if not (run.folder / _STATE).is_file():
            rows = np.flatnonzero(run.alignment.split == "train")
            train, alignment = run.videos_of(rows), run.alignment.select(rows)
            known = _prototypes(train, alignment, aligner)
            return cls(run.config, checkpoints, Labels(train.phase_names), alignment, quality, *known, aligner)
        state = load_state(run.folder / _STATE, "known")
        labels = Labels(state["phase_names"], are_text=state["labels_are_text"])
        prototypes, voted = ({a: values.numpy() for a, values in state[k].items()} for k in ("prototypes", "labels"))
        return cls(run.config, checkpoints, labels, run.alignment, quality, state["known"], prototypes, voted, aligner)

    def save(self, folder: Path) -> None:
        """Write a run directory.

        Raises:
            UserError: If there is something else in the folder.
        """
        if folder.exists() and not (folder / _STATE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder}: there is something else there; give a new folder.")
        state = {
            "prototypes": {a: torch.from_numpy(values) for a, values in self.prototypes.items()},
            "labels": {a: torch.from_numpy(values) for a, values in self.prototype_labels.items()},
            "phase_names": self.phase_names,
            "labels_are_text": self.labels.are_text,
            "known": self.known,
        }
        save_state(state, folder / _STATE)
        save_config(self.config, folder / "config.yaml")
        self.alignment.save(folder / "alignment.h5")
        self._write_checkpoints(folder)
        about = {"method": self.config.method, "seed": self.config.seed}
        write_metrics(folder, {**self.quality.to_metrics(), **about})

    @property
    def aligner(self) -> Aligner:
        """The aligner; after pickling it is made anew of its checkpoints."""
        if self._aligner is None:
            with TemporaryDirectory(prefix="tpl-") as folder:
                self._write_checkpoints(Path(folder))
                self._aligner = restore_aligner(Path(folder) / "checkpoints", self.config, self.alignment)
        return self._aligner

    @property
    def phase_names(self) -> dict[str, list[str]]:
        """Names of each action's phases."""
        return {action: self.labels.names.get(action, []) for action in self.prototypes}

    @property
    def num_channels(self) -> int:
        """Channels C."""
        return int(next(iter(self.prototypes.values())).shape[1])

    def videos(self, embeddings: Any, actions: Any = None, labels: Any = None) -> VideoSet:
        """Return videos that are to be aligned; see ``Synchronizer.align``."""
        videos = stored_videos(embeddings)
        if videos is not None:
            refuse_with_cache(actions, labels)
            wanted = self.config.data.actions
            if wanted is None or isinstance(embeddings, VideoSet):
                return videos
            return videos.select(np.isin(videos.action, wanted))
        arrays = read_arrays(embeddings)
        named = self._actions_of(arrays, actions)
        if arrays[0].shape[1] != self.num_channels:
            raise UserError(
                f"X has {arrays[0].shape[1]} features, but Synchronizer is expecting {self.num_channels} features as "
                "input: the channels of a frame; one video alone goes into a list: [video]."
            )
        if labels is None:
            return array_videos(arrays, named, None, None)
        numbers = self.labels.read(labels, named, [len(video) for video in arrays])
        return array_videos(arrays, named, numbers, self.labels)

    def _actions_of(self, arrays: list[np.ndarray], actions: Any) -> list[str]:
        if actions is not None:
            return action_of_each(actions, len(arrays))
        known = list(self.prototypes)
        if len(known) == 1:
            return known * len(arrays)
        rows = [self.row_of(video) for video in arrays]
        new = next((i for i, row in enumerate(rows) if row is None), None)
        if new is not None:
            raise UserError(f"video {new}: which action does it show? Say it with actions=; there are {known}.")
        return [str(self.alignment.action[row]) for row in rows]

    def row_of(self, video: np.ndarray) -> int | None:
        """Return the row of a training video, (L, C); None of any other."""
        return self.known.get(digest_of(video))

    def align(self, videos: VideoSet) -> Alignment:
        """Align videos; arrays that were fitted keep the warps of the fit."""
        if not isinstance(videos.cache, ArrayCache):
            return self.aligner.align(videos)
        rows = [self.row_of(videos.read(i)) for i in range(len(videos))]
        is_new = np.array(
            [r is None or self.alignment.action[r] != a for r, a in zip(rows, videos.action.tolist(), strict=True)]
        )
        found = self.aligner.align(videos.select(np.flatnonzero(is_new))) if is_new.any() else self.alignment
        place = np.cumsum(is_new) - 1
        warps = [
            found.warp(int(place[i])) if is_new[i] else self.alignment.warp(row)  # type: ignore[arg-type]
            for i, row in enumerate(rows)
        ]
        return Alignment.from_rows(
            video_id=videos.video_id,
            action=videos.action,
            split=np.where(is_new, "test", "train"),
            positions=[warp.position for warp in warps],
            sources=[warp.source for warp in warps],
        )

    def assess(self, videos: VideoSet) -> float:
        """Return how good the alignment of videos is, without a look at labels; higher is better."""
        together = replace(self.align(videos), split=np.full(len(videos), "train"))
        return assess(together, videos, self.aligner.features() or Preprocessor.fit(videos, self.config.data)).score

    def __getstate__(self) -> dict[str, Any]:
        """Leave the aligner behind."""
        return {**self.__dict__, "_aligner": None}

    def _write_checkpoints(self, folder: Path) -> None:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        for name, content in self.checkpoints.items():
            (folder / "checkpoints" / name).write_bytes(content)


def _prototypes(
    train: VideoSet, alignment: Alignment, aligner: Aligner
) -> tuple[dict[str, int], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the rows of the training videos by their digests, and each action's prototype [7] and its labels [8]."""
    known: dict[str, int] = {}
    total: dict[str, np.ndarray] = {}
    for i, action in enumerate(train.action.tolist()):
        video = train.read(i)
        known.setdefault(digest_of(video), i)
        total[action] = total.get(action, 0) + warped(video, alignment.source(i))
    prototypes = {a: values / int((train.action == a).sum()) for a, values in sorted(total.items())}
    if isinstance(aligner, StoredAligner):
        return known, prototypes, aligner.prototype_labels()
    return known, prototypes, voted_labels([alignment.source(i) for i in range(len(train))], train)


@contextmanager
def _manners() -> Iterator[None]:
    """Leave the caller's random numbers as they are, and stop by KeyboardInterrupt as programs expect."""
    from lightning.pytorch.utilities.seed import isolate_rng

    try:
        with isolate_rng():
            yield
    except SystemExit as end:  # what a command ends with after a signal
        raise KeyboardInterrupt("the training was stopped") from end


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "checkpoints").glob("*.ckpt"))}
