"""Phase labels carried from a prototype, or from labelled videos, to any video."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.labels import Annotations, Doubts, doubt_of
from tpl_lightning.runs import Run, RunVideo
from tpl_lightning.sync.clips import frames_of
from tpl_lightning.sync.phases import Phases, phases_from_labels


class PhaseSpan(NamedTuple):
    """One phase of one video.

    Convention: the span holds the frames ``start_frame`` to ``end_frame - 1`` of the file, and the seconds from
    ``start_s`` (when its first frame appears) to ``end_s`` (when the next one after it would). ``confidence`` is the
    mean over its frames of the share of votes that the label has at their prototype points.
    """

    phase: str
    start_s: float
    end_s: float
    start_frame: int
    end_frame: int
    confidence: float


@dataclass(frozen=True)
class LabelledVideo:
    """The phases of a video in order; ``names`` are those of its action."""

    video: RunVideo
    names: tuple[str, ...]
    num_frames: int
    fps: float
    spans: tuple[PhaseSpan, ...]


def carry_labels(video: RunVideo, phases: Phases) -> LabelledVideo:
    """Give a video the labels of its action's prototype.

    Args:
        video: The video; without a file, its times are those of the embedded frames.
        phases: The labels.

    Returns:
        Its phases in order. A phase may come twice where the labels say so.
    """
    own, count = frames_of(video), video.num_frames
    spans = []
    for segment in phases.frame_segments(video):
        bounds = np.array([segment.start, segment.end])
        start_s, end_s = own.seconds(bounds).tolist()
        start, end = (own.file_frame(np.minimum(bounds, count - 1)) + (bounds == count)).tolist()
        spans.append(PhaseSpan(phases.name(segment.label), start_s, end_s, start, end, segment.confidence))
    return LabelledVideo(video, phases.names, own.shown.num_frames, own.shown.fps, tuple(spans))


def phases_of_annotations(
    run: Run, annotations: Annotations, videos: Sequence[RunVideo], *, only: RunVideo | None
) -> dict[str, Phases]:
    """Label the prototypes by the votes of annotated videos.

    Args:
        run: The run.
        annotations: Named stretches of some videos.
        videos: Videos that may vote, by their names.
        only: The one video that votes; None: all that are annotated. An annotation of a single video is taken to be
            this one's, whatever it is called.

    Returns:
        Action to phases, of the actions that got a vote.

    Raises:
        UserError: If none of the videos is annotated.
    """
    voters = _voters(annotations, videos, only)
    names = annotations.phases_of({name: video.action for video, name in voters})
    votes: dict[str, list[tuple[RunVideo, np.ndarray]]] = {video.action: [] for video, _ in voters}
    doubts = Doubts()
    for video, name in voters:
        spans, own = annotations.spans(name, names[video.action]), frames_of(video)
        assert spans is not None
        frames = own.file_frame(np.arange(video.num_frames))
        votes[video.action].append((video, spans.labels(own.clock, frames)))
        doubts.note(doubt_of(spans, own.clock, frames), name)
    doubts.warn(annotations.path)
    return {
        action: phases_from_labels(own, names[action], run.prototype_length(action))
        for action, own in sorted(votes.items())
    }


def _voters(annotations: Annotations, videos: Sequence[RunVideo], only: RunVideo | None) -> list[tuple[RunVideo, str]]:
    """Return the videos that vote, each with its name in the annotations."""
    if only is not None:
        name = annotations.name_of(only.video_id, only.action)
        if name is None and len(annotations.named) == 1:
            name = next(iter(annotations.named))
        if name is None:
            known = ", ".join(sorted(annotations.named))
            raise UserError(f"{annotations.path}: no labels of video {only.video_id!r}; there are: {known}.")
        return [(only, name)]
    named = [(video, annotations.name_of(video.video_id, video.action)) for video in videos]
    voters = [(video, name) for video, name in named if name is not None]
    if not voters:
        known = ", ".join(sorted(annotations.named)) or "none"
        raise UserError(
            f"{annotations.path}: its videos ({known}) are not among those of the run or those given; "
            "say whose labels they are with from=VIDEO."
        )
    annotations.warn_of_unmatched({name for _, name in voters}, videos[0].video_id)
    return voters
