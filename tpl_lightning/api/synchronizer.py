"""The estimator: every method of the command line behind fit, transform and align."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from tpl_lightning.aligners import Aligner
from tpl_lightning.api.fitted import Fitted
from tpl_lightning.api.inputs import options_of, read_options
from tpl_lightning.data import VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation import Alignment, evaluate, warped


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

    _fitted: Fitted

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
        config = read_options(self.method, self.options, self.random_state)
        return self._keep(Fitted.fit(config, embeddings, actions, labels))

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
        videos = self._videos(embeddings, actions)
        return self._fitted.align(videos)

    def transform(self, embeddings: Any, actions: Any = None) -> Any:
        """Return the embeddings of each video on its prototype timeline, U_i ∘ T^theta_i (L, C), a list.

        After ``set_output(transform="pandas")``: one table with a row for each point, by video and prototype time.
        """
        videos = self._videos(embeddings, actions)
        alignment = self._fitted.align(videos)
        found = [warped(videos.read(i), alignment.source(i)) for i in range(len(videos))]
        return _as_table(found, alignment) if getattr(self, "_output", "default") == "pandas" else found

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
            found.append(self._fitted.labels.shown(labels[point], action))
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
            alignment = self._fitted.align(videos)
            known = self._fitted.row_of(videos.read(0))
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
        if not videos.cache.has_labels:
            return self._fitted.assess(videos)
        self._check_labels()
        return evaluate(self._fitted.align(videos), videos, prototypes=self.prototype_labels_).overall["test/plp"]

    @property
    def aligner_(self) -> Aligner:
        """Return the fitted aligner that the commands use."""
        check_is_fitted(self)
        return self._fitted.aligner

    @property
    def phase_names_(self) -> dict[str, list[str]]:
        """Return the names of each action's phases."""
        check_is_fitted(self)
        return self._fitted.phase_names

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
        self._fitted.save(Path(folder))
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, *, cache: str | Path | None = None) -> "Synchronizer":
        """Return the fitted estimator of a folder of :meth:`save`, or of a run of ``tpl fit``.

        Args:
            folder: The folder.
            cache: The embedding cache of a run of ``tpl fit``, where it has moved.

        Raises:
            FileError: If a file is missing or unreadable.
        """
        fitted = Fitted.load(folder, cache=cache)
        sync = cls(fitted.config.method, options_of(fitted.config) or None, fitted.config.seed)
        return sync._keep(fitted)

    def __sklearn_tags__(self) -> Any:
        """Say that videos may have several channels."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _keep(self, fitted: Fitted) -> "Synchronizer":
        self._fitted = fitted
        self.alignment_, self.quality_ = fitted.alignment, fitted.quality
        self.prototypes_, self.prototype_labels_ = fitted.prototypes, fitted.prototype_labels
        self.n_features_in_ = fitted.num_channels
        return self

    def _videos(self, embeddings: Any, actions: Any = None, labels: Any = None) -> VideoSet:
        check_is_fitted(self)
        return self._fitted.videos(embeddings, actions, labels)

    def _check_labels(self) -> None:
        check_is_fitted(self)
        if not any((labels >= 0).any() for labels in self.prototype_labels_.values()):
            raise UserError("No video that was fitted has labels; give some with fit(embeddings, actions, labels).")


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
