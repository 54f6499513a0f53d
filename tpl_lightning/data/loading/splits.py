"""Which videos train, validate and test: the stored split, or folds."""

from dataclasses import dataclass

import numpy as np

from tpl_lightning.config import DataConfig
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set.

    Example:
        >>> from tpl_lightning.data import ArrayCache
        >>> videos = VideoSet(ArrayCache([np.eye(4)] * 4, action=["jump"] * 4))
        >>> splits = split_videos(videos, DataConfig(folds=2))
        >>> splits.all().split.tolist()
        ['test', 'train', 'test', 'train']
    """

    train: VideoSet
    val: VideoSet
    test: VideoSet

    @classmethod
    def of(cls, train: VideoSet | None = None, val: VideoSet | None = None, test: VideoSet | None = None) -> "Splits":
        """Return some parts of a set, and the others without a video.

        Raises:
            ValueError: If no part is given.
        """
        given = next((part for part in (train, val, test) if part is not None), None)
        if given is None:
            raise ValueError("Expected `train`, `val` or `test`.")
        empty = given.select(np.zeros(len(given), dtype=bool))
        return cls(*(empty if part is None else part for part in (train, val, test)))

    def all(self) -> VideoSet:
        """Return the videos of all parts in the order of the cache, each with its split."""
        parts = (self.train, self.val, self.test)
        indices = np.concatenate([part.indices for part in parts])
        split = np.concatenate([part.split for part in parts])
        order = np.argsort(indices)
        return VideoSet(self.train.cache, indices[order]).with_split(split[order])


def _with_actions(videos: VideoSet, data: DataConfig) -> VideoSet:
    if data.actions is None:
        return videos
    unknown = [action for action in data.actions if action not in videos.actions]
    if unknown:
        raise UserError(
            f"{videos.cache.path}: no videos of action {unknown[0]!r} (data.actions); "
            f"it holds {', '.join(videos.actions)}."
        )
    return videos.select(np.isin(videos.action, data.actions))


def fold_split(videos: VideoSet, folds: int, fold: int) -> np.ndarray:
    """Return train or test for each video: within each action, sorted by name, every K-th is in a fold.

    Raises:
        UserError: If an action has fewer videos than there are folds.
    """
    split = np.full(len(videos), "train", dtype="U5")
    for action in videos.actions:
        members = np.flatnonzero(videos.action == action)
        if len(members) < folds:
            raise UserError(
                f"{videos.cache.path}: action {action!r} has {len(members)} videos, too few for data.folds={folds}; "
                f"use at most {len(members)} folds, or leave the action out with data.actions=[...]."
            )
        ranked = members[np.argsort(videos.video_id[members])]
        split[ranked[fold::folds]] = "test"
    return split


def split_videos(videos: VideoSet, data: DataConfig) -> Splits:
    """Part the videos as the options say.

    Args:
        videos: All videos of a cache.
        data: ``actions`` filters; ``folds`` and ``fold`` replace the stored split.

    Returns:
        The parts; val is empty with folds.

    Raises:
        UserError: If an action is unknown or has fewer than two training videos.

    Example:
        >>> from tpl_lightning.data import ArrayCache
        >>> videos = VideoSet(ArrayCache([np.eye(4)] * 4, action=["jump"] * 4))
        >>> splits = split_videos(videos, DataConfig(folds=2, fold=1))
        >>> splits.train.video_id.tolist(), splits.test.video_id.tolist()
        (['0', '2'], ['1', '3'])
    """
    videos = _with_actions(videos, data)
    if data.folds:
        videos = videos.with_split(fold_split(videos, data.folds, data.fold))
    splits = Splits(*(videos.select(videos.split == name) for name in ("train", "val", "test")))
    for action in videos.actions:
        count = int((splits.train.action == action).sum())
        if count < 2:
            kept = [a for a in videos.actions if a != action]
            ways = ["add videos", "use more folds" if data.folds else "use data.folds=K"]
            ways += [f"leave it out with data.actions=[{','.join(kept)}]"] if kept else []
            raise UserError(
                f"{videos.cache.path}: action {action!r} has {count} training videos, but aligning needs at least 2; "
                f"{', or '.join(ways)}."
            )
    return splits


def select_evaluation(videos: VideoSet, data: DataConfig) -> VideoSet:
    """Return the videos on which a trained model is scored: the test split, or all where there is none.

    Raises:
        UserError: If an action is unknown.

    Example:
        >>> from tpl_lightning.data import ArrayCache
        >>> videos = VideoSet(ArrayCache([np.eye(4)] * 4, action=["jump"] * 4))
        >>> len(select_evaluation(videos, DataConfig(folds=2))), len(select_evaluation(videos, DataConfig()))
        (2, 4)
    """
    videos = _with_actions(videos, data)
    if data.folds:
        videos = videos.with_split(fold_split(videos, data.folds, data.fold))
    test = videos.split == "test"
    return videos.select(test) if test.any() else videos
