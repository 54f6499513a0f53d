"""A fitted aligner and what is known of the videos that it was fitted on: made, used, and kept in a folder."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from tpl_lightning.aligners import Aligner, StoredAligner, build_aligner, restore_aligner
from tpl_lightning.api.inputs import digest_of, is_cache, read_videos
from tpl_lightning.api.labels import Labels
from tpl_lightning.config import Config, save_config
from tpl_lightning.data import ArrayCache, Preprocessor, VideoSet, split_videos
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation import Alignment, Quality, assess, voted_labels, warped
from tpl_lightning.files import load_state, remove_left, save_state
from tpl_lightning.lit import with_epochs
from tpl_lightning.reports import data_source
from tpl_lightning.runs import CHECKED_FRAMES, Run, write_metrics

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
        source: What the data of the cache are; empty of arrays.
    """

    config: Config
    checkpoints: dict[str, bytes]
    labels: Labels
    alignment: Alignment
    quality: Quality
    known: dict[str, int]
    prototypes: dict[str, np.ndarray]
    prototype_labels: dict[str, np.ndarray]
    source: str
    _aligner: Aligner | None = None

    @classmethod
    def fit(cls, config: Config, embeddings: Any, actions: Any = None, labels: Any = None) -> "Fitted":
        """Align the training videos and make the prototype of each action; see ``Synchronizer.fit``."""
        names = Labels({})
        train = read_videos(embeddings, actions, labels, names, default=lambda x: ["action"] * len(x), least=2)
        val, source = None, ""
        if isinstance(embeddings, VideoSet) or is_cache(embeddings):
            train.cache.validate(most_frames=CHECKED_FRAMES)
            names = Labels(train.phase_names)
        if is_cache(embeddings):
            splits = split_videos(train, config.data)
            train, val = splits.train, splits.val if len(splits.val) else None
        if train.cache.files:
            config = replace(config, data=replace(config.data, cache=str(train.cache.path)))
            source = data_source(train.cache)
        for action, count in zip(*np.unique(train.action, return_counts=True), strict=True):
            if count < 2:
                raise UserError(f"action {str(action)!r} has {count} training videos (1 sample), but aligning needs 2.")
        train = train.with_split(np.full(len(train), "train"))
        config = with_epochs(config, len(train))
        with TemporaryDirectory(prefix="tpl-") as folder, _manners():
            aligner = build_aligner(config, Path(folder))
            aligner.fit(train, val)
            checkpoints = _contents(Path(folder))
        alignment = aligner.align(train)
        quality = assess(alignment, train, aligner.features() or Preprocessor.fit(train, config.data))
        known = _prototypes(train, alignment, aligner)
        return cls(config, checkpoints, names, alignment, quality, *known, source, aligner)

    @classmethod
    def load(cls, folder: str | Path, *, cache: str | Path | None = None) -> "Fitted":
        """Read a folder of :meth:`save`, or a run of ``tpl fit``."""
        run = Run(folder, cache=cache)
        aligner = restore_aligner(run.folder / "checkpoints", run.config, run.alignment)
        checkpoints, quality = _contents(run.folder), Quality.from_metrics(run.metrics)
        if (run.folder / _STATE).is_file():
            alignment, state = run.alignment, load_state(run.folder / _STATE, "known")
            labels = Labels(state["phase_names"], are_text=state["labels_are_text"])
            prototypes, voted = ({a: x.numpy() for a, x in state[k].items()} for k in ("prototypes", "labels"))
            known = state["known"], prototypes, voted
        else:
            rows = np.flatnonzero(run.alignment.split == "train")
            train, alignment = run.videos_of(rows), run.alignment.select(rows)
            labels, known = Labels(train.phase_names), _prototypes(train, alignment, aligner)
        return cls(run.config, checkpoints, labels, alignment, quality, *known, run.data_source, aligner)

    def save(self, folder: Path) -> None:
        """Write a run directory; metrics.json comes last.

        Raises:
            UserError: If there is something else in the folder.
        """
        remove_left(folder)
        if folder.exists() and not (folder / _STATE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder}: there is something else there; give a new folder, or remove it.")
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
        about = {"method": self.config.method, "seed": self.config.seed, "data_source": self.source}
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
        videos = read_videos(embeddings, actions, labels, self.labels, default=self._actions_of)
        if isinstance(videos.cache, ArrayCache) and videos.num_channels != self.num_channels:
            raise UserError(
                f"X has {videos.num_channels} features, but Synchronizer is expecting {self.num_channels} features as "
                "input: the channels per frame; one video alone goes into a list: [video]."
            )
        wanted = self.config.data.actions if is_cache(embeddings) else None
        return videos if wanted is None else videos.select(np.isin(videos.action, wanted))

    def _actions_of(self, arrays: list[np.ndarray]) -> list[str]:
        if len(self.prototypes) == 1:
            return list(self.prototypes) * len(arrays)
        rows = [self.row_of(video) for video in arrays]
        if None in rows:
            known = list(self.prototypes)
            raise UserError(f"video {rows.index(None)}: which action does it show? Say it with actions=, of {known}.")
        return self.alignment.action[np.array(rows, dtype=np.int64)].tolist()

    def row_of(self, video: np.ndarray) -> int | None:
        """Return the row of a training video, (L, C); None of any other."""
        return self.known.get(digest_of(video))

    def align(self, videos: VideoSet) -> Alignment:
        """Align videos; arrays that were fitted keep the warps of the fit."""
        if not isinstance(videos.cache, ArrayCache):
            return self.aligner.align(videos)
        rows = [self.row_of(videos.read(i)) for i in range(len(videos))]
        shown = [None if row is None else self.alignment.action[row] for row in rows]
        is_new = np.array(shown) != videos.action
        new = self.aligner.align(videos.select(is_new)) if is_new.any() else self.alignment
        found = [
            new.warp(k) if fresh or row is None else self.alignment.warp(row)
            for row, fresh, k in zip(rows, is_new.tolist(), (np.cumsum(is_new) - 1).tolist(), strict=True)
        ]
        split = np.where(is_new, "test", "train")
        return Alignment.of_videos(videos.with_split(split), [w.position for w in found], [w.source for w in found])

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
    kept = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    except SystemExit as end:  # what a command ends with after a signal
        raise KeyboardInterrupt("the training was stopped") from end
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "checkpoints").glob("*.ckpt"))}
