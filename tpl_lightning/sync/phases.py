"""Phases of an action on its prototype timeline, and the way from there to the frames of a video."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike

from tpl_lightning.functional import scores
from tpl_lightning.runs import Run, RunVideo


@dataclass(frozen=True)
class Segment:
    """A stretch of equal labels; whether ``start`` and ``end`` are points, frames or times is the caller's choice."""

    label: int
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Phases:
    """The label of every prototype point A^ [8] and how sure it is.

    Attributes:
        names: Names of the phases.
        labels: (L,) phase of each point, -1 where nobody voted.
        confidence: (L,) share of the votes at a point that its label has, 0 where nobody voted.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    confidence: np.ndarray

    @property
    def known(self) -> bool:
        """Whether any point has a label."""
        return bool((self.labels >= 0).any())

    def point(self, prototype_time: ArrayLike) -> np.ndarray:
        """Return the index of the nearest prototype point; halves go to the even one, as in CBC and PLP."""
        last = len(self.labels) - 1
        return np.rint(np.asarray(prototype_time, dtype=np.float64) * last).astype(np.int64).clip(0, last)

    def label(self, prototype_time: ArrayLike) -> np.ndarray:
        """Return the label of the nearest prototype point, -1 where it has none."""
        return np.asarray(self.labels[self.point(prototype_time)])

    def name(self, label: int) -> str:
        """Return a phase's name, empty for -1."""
        return self.names[label] if label >= 0 else ""

    def segments(self) -> list[Segment]:
        """Return the labelled stretches in prototype time; they meet halfway between points."""
        last = len(self.labels) - 1
        return [
            Segment(s.label, max(s.start - 0.5, 0.0) / last, min(s.end - 0.5, last) / last, s.confidence)
            for s in _stretches(self.labels, self.confidence)
        ]

    def frame_segments(self, video: RunVideo) -> list[Segment]:
        """Carry the labels to a video.

        Convention: each frame takes the label of its nearest prototype point, read at T^-theta; idle frames take none.
        A segment holds frames ``start`` to ``end - 1``.

        Returns:
            The labelled stretches in frames; the confidence is the mean over the frames.
        """
        frames = np.arange(video.num_frames)
        points = self.point(video.prototype_time(frames))
        return _stretches(np.where(video.acts(frames), self.labels[points], -1), self.confidence[points])


def _stretches(labels: np.ndarray, confidence: np.ndarray) -> list[Segment]:
    found: list[Segment] = []
    start = 0
    for label, group in groupby(labels.tolist()):
        end = start + sum(1 for _ in group)
        if label >= 0:
            found.append(Segment(label, start, end, float(confidence[start:end].mean())))
        start = end
    return found


def phases_from_labels(votes: Sequence[tuple[RunVideo, np.ndarray]], names: Sequence[str], length: int) -> Phases:
    """Label a prototype by the votes of videos [8].

    Args:
        votes: Videos of one action, each with the phase of each of its frames, (L_i,), -1 unlabelled (no vote).
        names: Names of the phases.
        length: Points L of the prototype.
    """
    import torch

    counts = torch.tensor([video.num_frames for video, _ in votes])
    labels = [torch.from_numpy(own.astype(np.int64)) for _, own in votes]
    counted = scores.prototype_votes(
        torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-1),
        counts,
        torch.zeros_like(counts),
        torch.from_numpy(np.stack([video.source for video, _ in votes])),
        torch.full_like(counts, length),
        num_actions=1,
        num_phases=max(len(names), 1),
        max_length=length,
    )
    confidence = counted.amax(-1) / counted.sum(-1).clamp(min=1)
    return Phases(tuple(names), scores.prototype_labels(counted)[0].numpy(), confidence[0].double().numpy())


def phases_of_run(run: Run, action: str) -> Phases:
    """Label an action's prototype by the labels that its training videos have in the run's cache."""
    votes = [(video, run.labels(video)) for video in run.known_videos(action) if video.split == "train"]
    return phases_from_labels(votes, run.cache.phase_names.get(action, []), run.prototype_length(action))
