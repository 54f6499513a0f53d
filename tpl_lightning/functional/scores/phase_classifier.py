"""A linear classifier of phases, as the phase-accuracy score uses it: logistic regression of scikit-learn."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.functional import Float, Int
from tpl_lightning.functional.scores.video_rows import VideoRows

_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_FOLDS = 3


@dataclass(frozen=True)
class PhaseClassifier:
    """Standardisation, rotation and a linear model; see :func:`fit_phase_classifier`.

    Attributes:
        mean: (C,) of the training frames.
        rotation: (C, R) standardises, then turns into the R directions in which the training frames vary.
        model: The fitted model; a number where all training frames had that one label.
        strength: scikit-learn's C that was chosen; NaN where nothing had to be chosen.
    """

    mean: np.ndarray
    rotation: np.ndarray
    model: Any
    strength: float

    def predict(self, frames: np.ndarray) -> np.ndarray:
        """Return the phase of each frame, (F, C) -> (F,) int64."""
        return _predict(self.model, (frames - self.mean) @ self.rotation)


def _fit_path(frames: np.ndarray, labels: np.ndarray, strengths: Sequence[float]) -> Iterator[Any]:
    """Yield the model of each strength in turn; each starts from the last one's weights, which is what saves time."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(warm_start=True, tol=1e-3, max_iter=200)
    for strength in strengths:
        if (labels == labels[0]).all():
            yield int(labels[0])
            continue
        with warnings.catch_warnings():
            # Weakly regularised and separable: the labels stand long before the weights do.
            warnings.simplefilter("ignore", ConvergenceWarning)
            yield model.set_params(C=strength).fit(frames, labels)


def _predict(model: Any, frames: np.ndarray) -> np.ndarray:
    return np.full(len(frames), model) if isinstance(model, int) else model.predict(frames)


def _choose_strength(frames: np.ndarray, labels: np.ndarray, video: np.ndarray, strengths: Sequence[float]) -> float:
    """Return the C with the best share of right frames per held-out video; the smaller one where two are equal."""
    names, number = np.unique(video, return_inverse=True)
    fold = number % min(_FOLDS, len(names))
    right = np.zeros((len(strengths), len(labels)))
    for held_out in range(fold.max() + 1):
        test = fold == held_out
        for row, model in enumerate(_fit_path(frames[~test], labels[~test], strengths)):
            right[row, test] = _predict(model, frames[test]) == labels[test]
    share = right @ (1 / np.bincount(number))[number] / len(names)
    return strengths[int(np.argmax(share > share.max() - 1e-12))]


def fit_phase_classifier(
    frames: Float[np.ndarray, "F C"],
    labels: Int[np.ndarray, "F"],
    video: Int[np.ndarray, "F"],
    *,
    strengths: Sequence[float] = _STRENGTHS,
) -> PhaseClassifier:
    """Fit a logistic regression on standardised frames, its L2 penalty chosen by holding out whole videos.

    Neighbouring frames are nearly equal, so folds that cut through videos would always choose the weakest penalty.
    Videos are dealt to three folds in the order of their numbers. With a single video C is the middle one.

    Frames are turned into the directions in which the training frames vary. The penalty is the same in every
    direction, so this changes no prediction; with more channels than frames it saves most of the time.

    Args:
        frames: (F, C).
        labels: (F,) phase of each frame; at least one frame.
        video: (F,) number of the video that each frame comes from.
        strengths: Values of scikit-learn's C (the inverse of the penalty) to choose from, in ascending order.

    Returns:
        The classifier.

    Example:
        >>> frames, labels = np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([0, 0, 1, 1])
        >>> classifier = fit_phase_classifier(frames, labels, video=np.zeros(4, dtype=int))
        >>> classifier.predict(np.array([[2.0], [9.0]])).tolist()
        [0, 1]
    """
    frames = frames.astype(np.float64)
    mean, deviation = frames.mean(0), frames.std(0)
    scale = np.where(deviation > 1e-12, 1 / np.maximum(deviation, 1e-12), 0.0)
    standard = (frames - mean) * scale
    rotation = np.diag(scale)
    if frames.shape[1] > len(frames):
        directions = np.linalg.svd(standard, full_matrices=False)[2].T
        standard, rotation = standard @ directions, scale[:, None] * directions
    if (labels == labels[0]).all():
        strength = float("nan")
    elif len(np.unique(video)) == 1:
        strength = strengths[len(strengths) // 2]
    else:
        strength = _choose_strength(standard, labels, video, strengths)
    return PhaseClassifier(mean, rotation, next(_fit_path(standard, labels, [strength])), strength)


def phase_accuracy_sums(train: VideoRows, test: VideoRows, *, num_actions: int) -> tuple[Tensor, Tensor]:
    """Sum up the test videos' shares of labelled frames whose phase a classifier of single frames gets right.

    One classifier for each action, fitted on its training videos. Videos of an action without a labelled training
    frame are not scored, nor are those without a labelled frame.

    Args:
        train: Training videos.
        test: The videos that are scored.
        num_actions: A.

    Returns:
        The sum of the scores and their number, each (A,), float64 and int64.

    Example:
        >>> frames, labels = torch.tensor([[0.0], [1.0], [2.0], [0.0], [1.0]]), torch.tensor([0, 1, 1, 0, 1])
        >>> videos = VideoRows(frames, labels, torch.tensor([3, 2]), torch.tensor([0, 0]))
        >>> total, pairs = phase_accuracy_sums(videos, videos, num_actions=1)
        >>> (total / pairs).round(decimals=3).tolist()
        [1.0]
    """
    device = test.frames.device
    total = torch.zeros(num_actions, dtype=torch.float64, device=device)
    count = torch.zeros(num_actions, dtype=torch.int64, device=device)
    for action in test.action.unique().tolist():
        scores = _accuracies(train.of_action(action), test.of_action(action))
        total[action], count[action] = scores.sum(), len(scores)
    return total, count


def _accuracies(train: VideoRows, test: VideoRows) -> Tensor:
    """Return the share of right frames of each test video with labelled frames, float64; none without a classifier."""
    known, asked = train.labels >= 0, (test.labels >= 0).cpu()
    if not known.any() or not asked.any():
        return torch.zeros(0, dtype=torch.float64)
    classifier = fit_phase_classifier(*(x[known].cpu().numpy() for x in (train.frames, train.labels, train.video)))
    labels, video = test.labels.cpu()[asked], test.video.cpu()[asked]
    right = torch.from_numpy(classifier.predict(test.frames.cpu()[asked].numpy())) == labels
    frames = torch.bincount(video)
    return (torch.bincount(video, weights=right.double()) / frames)[frames > 0]
