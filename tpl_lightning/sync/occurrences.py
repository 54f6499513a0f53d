"""Occurrences of a run's actions in long recordings: searched for, fitted, and cut out as clips."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tpl_lightning.data import open_cache
from tpl_lightning.errors import UserError
from tpl_lightning.files import file_stem, unique_stems
from tpl_lightning.labels import Occurrence
from tpl_lightning.recognition import Hit, find_hits
from tpl_lightning.runs import NEW, Run, RunVideo, clock_of
from tpl_lightning.sync.phases import Phases, phases_of_run
from tpl_lightning.video import FrameDecoder, VideoClock, collect_files, probe_video, read_timed_frames, write_video

_CACHES = {".h5", ".hdf5"}


@dataclass(frozen=True)
class Recording:
    """A recording to be searched: a video file, or a video of a cache.

    Attributes:
        name: Of the files that are written about it.
        path: The video file, or the cache.
        row: Its number in the cache; None: it is a video file.
    """

    name: str
    path: Path
    row: int | None = None

    def read(self, run: Run, advance: Callable[[int], None]) -> tuple[np.ndarray, VideoClock]:
        """Return its embeddings (F, C) and when each is shown.

        Raises:
            UserError: If it cannot be read, or its embeddings are other ones than the run's.
        """
        if self.row is None:
            return run.embed_recording(self.path, advance)
        cache = open_cache(self.path)
        if cache.num_channels != run.cache.num_channels:
            raise UserError(
                f"{self.path}: {cache.num_channels} channels per frame, but the run {run.folder} was fitted on "
                f"{run.cache.num_channels} ({run.cache.extractor}); embed the recording with the same extractor."
            )
        advance(int(cache.lengths[self.row]))
        return cache.read(self.row), clock_of(cache, self.row)

    def num_frames(self) -> int:
        """Return how many frames there are to read."""
        if self.row is None:
            return probe_video(self.path).clock.num_frames
        return int(open_cache(self.path).lengths[self.row])


def find_recordings(names: Sequence[str]) -> list[Recording]:
    """List the recordings that are named: video files, folders of them, and all videos of caches.

    Raises:
        UserError: If there is none, or one is missing.
    """
    found: list[tuple[str, Path, int | None]] = []
    for name in names:
        if Path(name).suffix.lower() in _CACHES and not Path(name).is_dir():
            cache = open_cache(Path(name))
            found += [(str(video), Path(name), row) for row, video in enumerate(cache.video_id)]
        else:
            found += [(path.stem, path, None) for path in collect_files([name])]
    if not found:
        raise UserError(f"{', '.join(names)}: no recording there; name video files, folders of them, or caches.")
    stems = unique_stems([name for name, _, _ in found])
    return [Recording(stem, path, row) for stem, (_, path, row) in zip(stems, found, strict=True)]


def find_occurrences(
    run: Run, recording: Recording, *, action: str | None = None, advance: Callable[[int], None] = lambda _: None
) -> tuple[list[Occurrence], VideoClock]:
    """Search a recording for the actions of a run, and fit what is found.

    Args:
        run: The run.
        recording: Where to search.
        action: Only this one; the others compete for the same frames all the same.
        advance: Told of frames as they are read, then as they are searched.

    Returns:
        The occurrences in order, and the clock of the recording.
    """
    embeddings, clock = recording.read(run, advance)
    model = run.action_model
    hits = find_hits(model, embeddings, clock.usual_fps, advance)
    hits = [hit for hit in hits if action in (None, model.actions[hit.action])]
    videos = videos_of_hits(run, embeddings, clock, hits)
    phases = {name: phases_of_run(run, name) for name in {video.action for video in videos}}
    found = [_occurrence(hit, video, clock, phases[video.action]) for hit, video in zip(hits, videos, strict=True)]
    return found, clock


def videos_of_hits(run: Run, embeddings: np.ndarray, clock: VideoClock, hits: Sequence[Hit]) -> list[RunVideo]:
    """Return the hits as videos with warps of their own, as the run's aligner finds them for clips.

    The aligner may take clips to be whole. What the recording cuts keeps the warp that the search has found for it.
    """
    names, actions = [f"hit_{number:05d}" for number in range(len(hits))], run.action_model.actions
    whole = [number for number, hit in enumerate(hits) if (hit.first, hit.last) == (0, 1)]
    warps = [(hit.position, source_of_positions(hit.position)) for hit in hits]
    if whole:
        chosen = [(names[k], hits[k]) for k in whole]
        rows = [(name, actions[hit.action], embeddings[hit.start : hit.end], clock.fps) for name, hit in chosen]
        aligned = run.align(rows)
        for i, k in enumerate(whole):
            warps[k] = (aligned.position(i), aligned.source(i))
    return [
        RunVideo(*warp, name, actions[hit.action], NEW, VideoClock.even(hit.end - hit.start, clock.fps))
        for name, hit, warp in zip(names, hits, warps, strict=True)
    ]


def source_of_positions(position: np.ndarray) -> np.ndarray:
    """Return where prototype points are in a video with these positions; beyond it, those that it does not show."""
    grid = np.linspace(0, 1, len(position))
    inside = np.interp(grid, position, grid)
    return np.where(
        grid < position[0], grid - position[0], np.where(grid > position[-1], 1 + grid - position[-1], inside)
    )


def _occurrence(hit: Hit, video: RunVideo, clock: VideoClock, phases: Phases) -> Occurrence:
    starts = [hit.start + segment.start for segment in phases.frame_segments(video)] if phases.known else []
    start, end, *own = clock.seconds(np.array([hit.start, hit.end, *starts], dtype=np.float64)).tolist()
    return Occurrence(start, end, video.action, 1 - hit.error / 2, tuple(own))


def segment_names(recording: str, found: Sequence[Occurrence]) -> list[Path]:
    """Return where the clip of each occurrence lies in a folder of clips: ``<action>/<recording>_<number>.mp4``."""
    return [Path(file_stem(one.action)) / f"{recording}_{number:03d}.mp4" for number, one in enumerate(found)]


def write_segments(
    recording: Recording, found: Sequence[Occurrence], folder: Path, advance: Callable[[], None] = lambda: None
) -> list[Path]:
    """Cut occurrences out of a recording, frame by frame, each a clip of its own.

    Args:
        recording: A video file.
        found: The occurrences, in order; some may overlap.
        folder: Where the clips go, see :func:`segment_names`.
        advance: Told of each clip.

    Returns:
        The files.
    """
    targets = [folder / name for name in segment_names(recording.name, found)]
    clock = probe_video(recording.path).clock
    left = list(range(len(found)))
    while left:  # a pass over the file for those that do not overlap
        now, end = [], -np.inf
        for number in left:
            if found[number].start_s >= end:
                now.append(number)
                end = found[number].end_s
        spans = [(clock.first_after(found[i].start_s), clock.first_after(found[i].end_s)) for i in now]
        frames, at = (picture for _, picture in read_timed_frames(FrameDecoder(recording.path), size=None)), 0
        for number, (first, last) in zip(now, spans, strict=True):
            pictures, at = itertools.islice(frames, first - at, last - at), last
            times = clock.times_s[first:last] - clock.times_s[first]
            even = None if clock.is_even else times.tolist()
            write_video(targets[number], pictures, clock.usual_fps, times_s=even)
            advance()
        left = [number for number in left if number not in now]
    return targets
