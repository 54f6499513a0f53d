"""The estimator: every method of the command line behind fit, transform and align."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from tpl_lightning.aligners import Aligner, StoredAligner, build_aligner, restore_aligner
from tpl_lightning.api.inputs import (
    Labels,
    action_of_each,
    array_videos,
    digest_of,
    read_arrays,
    read_options,
    refuse_with_cache,
    stored_videos,
)
from tpl_lightning.config import Config, differences, flattened, save_config
from tpl_lightning.data import ArrayCache, Preprocessor, VideoSet, split_videos
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation import Alignment, Quality, assess, evaluate, voted_labels
from tpl_lightning.files import load_state, save_state
from tpl_lightning.functional import resample
from tpl_lightning.lit import with_epochs
from tpl_lightning.runs import Run, write_metrics

__all__ = ["Synchronizer"]

_CHECKED_FRAMES = 5_000_000  # of a cache that are read before a fit
_DEFAULT_ACTION = "action"  # where callers do not name one
_STATE = "synchronizer.ckpt"


class Synchronizer(TransformerMixin, BaseEstimator):
    """Learns from videos of one or several actions where their frames lie on a common prototype timeline.

    A scikit-learn estimator over the methods of ``tpl fit``. Videos are a list of embeddings (L_i, C), arrays or
    tensors of any lengths; an array (N, L, C), or (N, L) of one channel; an :class:`EmbeddingCache`, a
    :class:`VideoSet`, or the path of a cache. Videos that :meth:`fit` has seen keep the warps that it found; others
    are fitted to the prototypes, and none changes another's result.

    Args:
        method: The aligner, as on the command line: ``direct``, ``tpl``, ``tpl_plus``, ``linear``, ``softdba``, ...
        options: Options by the keys of the command line, ``{"direct.smoothness": 0.2}``.
        random_state: Seed, or a ``RandomState`` that draws one; None: the option ``seed``, 0 where it is not given.

    Attributes:
        alignment_: The :class:`Alignment` of the training videos.
        prototypes_: Action to its prototype U^ (L, C), the mean of the aligned embeddings [7].
        prototype_labels_: Action to the labels A^ (L,) of its prototype [8], numbers, -1 where no video voted.
        phase_names_: Action to the names of its phases.
        quality_: Figures that need no labels, see :class:`Quality`.
        n_features_in_: Channels C.

    Example:
        >>> import numpy as np
        >>> time = np.linspace(0, 1, 40)
        >>> videos = [np.stack([np.sin(6 * time**p), np.cos(6 * time**p)], axis=1) for p in (0.8, 1.0, 1.25)]
        >>> sync = Synchronizer(method="direct").fit(videos)
        >>> [warped.shape for warped in sync.transform(videos)], sync.score() > 0.9
        ([(40, 2), (40, 2), (40, 2)], True)
        >>> sync.match(0, 20)  # the frames at which the others are as far
        {'1': 23, '2': 25}
    """

    _aligner: Aligner | None

    def __init__(
        self,
        method: str = "direct",
        options: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        """Keep the parameters; they are looked at by :meth:`fit`."""
        self.method = method
        self.options = options
        self.random_state = random_state

    def fit(self, embeddings: Any, actions: Any = None, labels: Any = None) -> "Synchronizer":
        """Align the training videos and make the prototype of each action.

        Args:
            embeddings: The videos. Of a cache those of its split ``train`` are taken, as the options ``data.*`` say.
            actions: What each video shows, or one name for all; None: one action. Not with a cache, which knows.
            labels: Phase of each frame (L_i,) of each video, whole numbers or texts; -1, or an empty text, is
                unlabelled, and so is a video whose labels are None. None: without labels. Not with a cache.

        Raises:
            UserError: If an option is unknown, or the videos cannot be aligned; a ``ValueError``.
        """
        config = self._read_config()
        train, val, names = self._training_videos(embeddings, actions, labels, config)
        for action in train.actions:
            count = int((train.action == action).sum())
            if count < 2:
                raise UserError(f"action {action!r} has {count} training videos (1 sample), but aligning needs 2.")
        config = with_epochs(config, len(train))
        with TemporaryDirectory(prefix="tpl-") as folder, _manners():
            aligner = build_aligner(config, Path(folder))
            aligner.fit(train, val)
            files = _contents(Path(folder, "checkpoints"))
        alignment = aligner.align(train)
        quality = assess(alignment, train, aligner.features() or Preprocessor.fit(train, config.data))
        self._learn(config, aligner, files, names)
        self._look_at(train, alignment, aligner, quality)
        return self

    def fit_transform(self, embeddings: Any, actions: Any = None, labels: Any = None) -> Any:  # type: ignore[override]
        """Fit, then warp the same videos; of a cache all of its videos."""
        return self.fit(embeddings, actions, labels).transform(embeddings, actions)

    def align(self, embeddings: Any, actions: Any = None) -> Alignment:
        """Return where every frame of every video lies on the prototype timeline of its action.

        Args:
            embeddings: The videos; of a cache all of the actions that the options name.
            actions: What each shows, or one name for all; None: where :meth:`fit` saw one action, or these videos.

        Raises:
            UserError: If an action is unknown, or the embeddings have other channels than those that were fitted.
        """
        return self._align(self._videos(embeddings, actions))

    def transform(self, embeddings: Any, actions: Any = None) -> Any:
        """Return the embeddings of each video on its prototype timeline, U_i ∘ T^theta_i (L, C), a list.

        After ``set_output(transform="pandas")``: one table with a row for each point, by video and prototype time.
        """
        videos = self._videos(embeddings, actions)
        alignment = self._align(videos)
        warped = [_warped(videos.read(i), alignment.source(i)) for i in range(len(videos))]
        return _as_table(warped, alignment) if getattr(self, "_output", "default") == "pandas" else warped

    def predict_phases(self, embeddings: Any, actions: Any = None) -> list[np.ndarray]:
        """Return the phase of each frame (L_i,) of each video, as :meth:`fit` was told phases; carried from A^ [8].

        Raises:
            UserError: If :meth:`fit` had no labels.
        """
        self._check_labels()
        alignment = self.align(embeddings, actions)
        found = []
        for i, action in enumerate(alignment.action.tolist()):
            labels = self.prototype_labels_[action]
            point = np.rint(alignment.position(i).astype(np.float64) * (len(labels) - 1)).astype(int)
            found.append(self._labels.shown(labels[point], action))
        return found

    def progress(self, embeddings: Any, actions: Any = None) -> list[np.ndarray]:
        """Return how far the action has come at each frame (L_i,) of each video: prototype time, in [0, 1]."""
        alignment = self.align(embeddings, actions)
        return [alignment.position(i) for i in range(len(alignment))]

    def match(self, video: Any, frame: Any, *, action: str | None = None) -> dict[str, Any]:
        """Return the frame of every other training video of the action that matches a frame of one video.

        Args:
            video: A training video, by its row or its name; or the embeddings (L, C) of any.
            frame: Its number from 0, or several.
            action: What a new video shows; None: where there is one action.

        Returns:
            Name of each video to its frame, or to an array of as many as were asked.

        Raises:
            UserError: If there is no such video or frame.
        """
        check_is_fitted(self)
        known: int | None
        if isinstance(video, (str, int, np.integer)):
            known = self.alignment_.row(video if isinstance(video, str) else int(video))
            warp, action = self.alignment_.warp(known), str(self.alignment_.action[known])
        else:
            videos = self._videos([video], action)
            alignment = self._align(videos)
            known = self._known.get(digest_of(videos.read(0)))
            warp, action = alignment.warp(0), str(alignment.action[0])
        frames = np.asarray(frame)
        last = len(warp.position) - 1
        if frames.dtype.kind not in "iu" or frames.size == 0 or frames.min() < 0 or frames.max() > last:
            raise UserError(f"frame {frame!r}: the video has frames 0 to {last}.")
        time = warp.prototype_time(frames)
        others = [i for i in np.flatnonzero(self.alignment_.action == action).tolist() if i != known]
        found = {str(self.alignment_.video_id[i]): np.rint(self.alignment_.warp(i).frame(time)) for i in others}
        return {name: int(at) if frames.ndim == 0 else at.astype(int) for name, at in found.items()}

    def score(self, embeddings: Any = None, actions: Any = None, labels: Any = None) -> float:
        """Return how good an alignment is; higher is better.

        Without videos: of the training videos, without a look at labels: the share of their variance about the mean of
        the others that aligning explains, less 0.1 times the roughness of the warps (``quality/score`` in
        metrics.json). With videos: the same of these among themselves; with labelled ones, or ``labels``, the share of
        frames whose phase :meth:`predict_phases` finds (PLP).

        Args:
            embeddings: The videos; None: those that were fitted.
            actions: What each shows, see :meth:`align`.
            labels: Phase of each frame of each video, as for :meth:`fit`.

        Raises:
            UserError: If there are labels now, but there were none for :meth:`fit`.
        """
        check_is_fitted(self)
        if embeddings is None:
            return self.quality_.score
        videos = self._videos(embeddings, actions, labels)
        alignment = self._align(videos)
        if not videos.cache.has_labels:
            together = replace(alignment, split=np.full(len(videos), "train"))
            return assess(
                together, videos, self.aligner_.features() or Preprocessor.fit(videos, self._config.data)
            ).score
        self._check_labels()
        return evaluate(alignment, videos, prototypes=self.prototype_labels_).overall["test/plp"]

    @property
    def aligner_(self) -> Aligner:
        """Return the fitted aligner that the commands use."""
        check_is_fitted(self)
        if self._aligner is None:  # after pickling
            with TemporaryDirectory(prefix="tpl-") as folder:
                self._write_checkpoints(Path(folder))
                self._aligner = restore_aligner(Path(folder) / "checkpoints", self._config, self.alignment_)
        return self._aligner

    def set_output(self, *, transform: str | None = None) -> "Synchronizer":
        """Choose what :meth:`transform` returns: ``default``, a list of arrays, or ``pandas``, one table.

        Raises:
            UserError: If it is another kind.
        """
        if transform not in (None, "default", "pandas"):
            raise UserError(f"set_output: expected transform 'default' or 'pandas', but got {transform!r}.")
        self._output = transform or getattr(self, "_output", "default")
        return self

    def save(self, folder: str | Path) -> Path:
        """Write a run directory, from which :meth:`load` and the commands can align new videos; return its path.

        Raises:
            UserError: If there is something else in the folder.
            FileError: If it cannot be written.
        """
        check_is_fitted(self)
        folder = Path(folder)
        if folder.exists() and not (folder / _STATE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder}: there is something else there; give a new folder.")
        state = {
            "prototypes": {a: torch.from_numpy(values) for a, values in self.prototypes_.items()},
            "labels": {a: torch.from_numpy(values) for a, values in self.prototype_labels_.items()},
            "phase_names": self.phase_names_,
            "labels_are_text": self._labels.are_text,
            "known": self._known,
        }
        save_state(state, folder / _STATE)
        save_config(self._config, folder / "config.yaml")
        self.alignment_.save(folder / "alignment.h5")
        self._write_checkpoints(folder)
        write_metrics(folder, {**self.quality_.to_metrics(), "method": self._config.method, "seed": self._config.seed})
        return folder

    @classmethod
    def load(cls, folder: str | Path, *, cache: str | Path | None = None) -> "Synchronizer":
        """Return the fitted estimator of a folder of :meth:`save`, or of a run of ``tpl fit``.

        Args:
            folder: The folder.
            cache: The embedding cache of a run of ``tpl fit``, where it has moved.

        Raises:
            FileError: If a file is missing or unreadable.
        """
        run = Run(folder, cache=cache)
        config = run.config
        sync = cls(config.method, _options(config) or None, config.seed)
        files = _contents(run.folder / "checkpoints")
        aligner = restore_aligner(run.folder / "checkpoints", config, run.alignment)
        quality = Quality.from_metrics(run.metrics)
        if not (run.folder / _STATE).is_file():
            rows = np.flatnonzero(run.alignment.split == "train")
            train = run.videos_of(rows)
            sync._learn(config, aligner, files, Labels(train.phase_names))
            sync._look_at(train, run.alignment.select(rows), aligner, quality)
            return sync
        state = load_state(run.folder / _STATE, "known")
        sync._learn(config, aligner, files, Labels(state["phase_names"], are_text=state["labels_are_text"]))
        sync.alignment_, sync.quality_, sync._known = run.alignment, quality, state["known"]
        sync.prototypes_ = {a: values.numpy() for a, values in state["prototypes"].items()}
        sync.prototype_labels_ = {a: values.numpy() for a, values in state["labels"].items()}
        sync.n_features_in_ = next(iter(sync.prototypes_.values())).shape[1]
        return sync

    def __getstate__(self) -> dict[str, Any]:
        """Leave the aligner behind, which its checkpoint makes anew."""
        state: dict[str, Any] = super().__getstate__()
        return {**state, "_aligner": None} if "_aligner" in state else state

    def __sklearn_tags__(self) -> Any:
        """Say that videos may have several channels."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _read_config(self) -> Config:
        seed = self.random_state
        if isinstance(seed, np.random.RandomState):
            seed = seed.randint(2**31)
        if not (seed is None or isinstance(seed, (int, np.integer))):
            raise UserError(f"Expected `random_state` to be None, a number or a RandomState, but got {seed!r}.")
        return read_options(self.method, self.options, None if seed is None else int(seed))

    def _training_videos(
        self, embeddings: Any, actions: Any, labels: Any, config: Config
    ) -> tuple[VideoSet, VideoSet | None, Labels]:
        """Return the videos to train on and to validate with, and what their phases are called."""
        stored = stored_videos(embeddings)
        if stored is not None:
            refuse_with_cache(actions, labels)
            stored.cache.validate(most_frames=_CHECKED_FRAMES)
            if isinstance(embeddings, VideoSet):
                return stored.with_split(np.full(len(stored), "train")), None, Labels(stored.phase_names)
            splits = split_videos(stored, config.data)
            return splits.train, splits.val if len(splits.val) else None, Labels(stored.phase_names)
        videos = read_arrays(embeddings, least=2)
        named = action_of_each(_DEFAULT_ACTION if actions is None else actions, len(videos))
        if labels is None:
            return array_videos(videos, named, None, None), None, Labels({})
        names, numbers = Labels.learn(labels, named, [len(video) for video in videos])
        return array_videos(videos, named, numbers, names), None, names

    def _learn(self, config: Config, aligner: Aligner, files: dict[str, bytes], labels: Labels) -> None:
        """Keep the fitted aligner, and how phases are called."""
        self._config, self._checkpoints, self._labels = config, files, labels
        self._aligner = aligner

    def _look_at(self, train: VideoSet, alignment: Alignment, aligner: Aligner, quality: Quality) -> None:
        """Keep what is known of the training videos: their alignment, prototypes [7] and labels [8]."""
        self.alignment_, self.quality_ = alignment, quality
        total: dict[str, np.ndarray] = {}
        self._known: dict[str, int] = {}
        for i, action in enumerate(train.action.tolist()):
            video = train.read(i)
            self._known.setdefault(digest_of(video), i)
            total[action] = total.get(action, 0) + _warped(video, alignment.source(i))
        self.prototypes_ = {a: values / int((train.action == a).sum()) for a, values in sorted(total.items())}
        if isinstance(aligner, StoredAligner):
            self.prototype_labels_ = aligner.prototype_labels()
        else:
            self.prototype_labels_ = voted_labels([alignment.source(i) for i in range(len(train))], train)
        self.n_features_in_ = train.num_channels

    @property
    def phase_names_(self) -> dict[str, list[str]]:
        """Return the names of each action's phases."""
        check_is_fitted(self)
        return {action: self._labels.names.get(action, []) for action in self.prototypes_}

    def _videos(self, embeddings: Any, actions: Any = None, labels: Any = None) -> VideoSet:
        """Return videos that are to be aligned."""
        check_is_fitted(self)
        videos = stored_videos(embeddings)
        if videos is not None:
            refuse_with_cache(actions, labels)
            wanted = self._config.data.actions
            if wanted is None or isinstance(embeddings, VideoSet):
                return videos
            return videos.select(np.isin(videos.action, wanted))
        arrays = read_arrays(embeddings)
        named = self._actions_of(arrays, actions)
        if arrays[0].shape[1] != self.n_features_in_:
            raise UserError(
                f"X has {arrays[0].shape[1]} features, but Synchronizer is expecting {self.n_features_in_} features as "
                "input: the channels of a frame; one video alone goes into a list: [video]."
            )
        if labels is None:
            return array_videos(arrays, named, None, None)
        numbers = self._labels.read(labels, named, [len(video) for video in arrays])
        return array_videos(arrays, named, numbers, self._labels)

    def _actions_of(self, arrays: list[np.ndarray], actions: Any) -> list[str]:
        if actions is not None:
            return action_of_each(actions, len(arrays))
        known = list(self.prototypes_)
        if len(known) == 1:
            return known * len(arrays)
        rows = [self._known.get(digest_of(video)) for video in arrays]
        new = next((i for i, row in enumerate(rows) if row is None), None)
        if new is not None:
            raise UserError(f"video {new}: which action does it show? Say it with actions=; there are {known}.")
        return [str(self.alignment_.action[row]) for row in rows]

    def _align(self, videos: VideoSet) -> Alignment:
        """Align videos; arrays that were fitted keep the warps of the fit."""
        if not isinstance(videos.cache, ArrayCache):
            return self.aligner_.align(videos)
        known = [self._known.get(digest_of(videos.read(i))) for i in range(len(videos))]
        rows = [
            row if row is not None and str(self.alignment_.action[row]) == action else None
            for row, action in zip(known, videos.action.tolist(), strict=True)
        ]
        new = np.flatnonzero([row is None for row in rows])
        found = self.aligner_.align(videos.select(new)) if len(new) else None
        place = {int(i): k for k, i in enumerate(new)}
        warps = [
            self.alignment_.warp(row) if row is not None else found.warp(place[i])  # type: ignore[union-attr]
            for i, row in enumerate(rows)
        ]
        return Alignment.from_rows(
            video_id=videos.video_id,
            action=videos.action,
            split=np.array(["test" if row is None else "train" for row in rows]),
            positions=[warp.position for warp in warps],
            sources=[warp.source for warp in warps],
        )

    def _check_labels(self) -> None:
        check_is_fitted(self)
        if not any((labels >= 0).any() for labels in self.prototype_labels_.values()):
            raise UserError("No video that was fitted has labels; give some with fit(embeddings, actions, labels).")

    def _write_checkpoints(self, folder: Path) -> None:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        for name, content in self._checkpoints.items():
            (folder / "checkpoints" / name).write_bytes(content)


@contextmanager
def _manners() -> Iterator[None]:
    """Leave the caller's random numbers as they are, and stop by KeyboardInterrupt as programs expect."""
    from lightning.pytorch.utilities.seed import isolate_rng

    try:
        with isolate_rng():
            yield
    except SystemExit as end:  # what a command ends with after a signal
        raise KeyboardInterrupt("the training was stopped") from end


def _contents(checkpoints: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(checkpoints.glob("*.ckpt"))}


def _warped(video: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return U_i ∘ T^theta_i, (L, C)."""
    times = torch.from_numpy(np.ascontiguousarray(source, dtype=np.float32))[None]
    frames = torch.from_numpy(np.ascontiguousarray(video))[None]
    return resample(frames, times, torch.tensor([len(video)]))[0].numpy()


def _as_table(warped: list[np.ndarray], alignment: Alignment) -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        raise UserError('set_output(transform="pandas"): expected the package pandas; pip install pandas.') from error
    lengths = [len(values) for values in warped]
    index = pd.MultiIndex.from_arrays(
        [np.repeat(alignment.video_id, lengths), np.concatenate([np.linspace(0, 1, length) for length in lengths])],
        names=["video_id", "prototype_time"],
    )
    return pd.DataFrame(np.concatenate(warped), index=index)


def _options(config: Config) -> dict[str, Any]:
    """Return the options of a configuration by dotted keys, without those that are given elsewhere."""
    given = flattened(differences(config))
    return {k: v for k, v in given.items() if k not in ("method", "seed", "data.cache") and not k.startswith("run.")}
