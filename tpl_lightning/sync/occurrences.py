"""Occurrences of a run's actions in long recordings: searched for, fitted, and cut out as clips."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tpl_lightning.data import open_cache
from tpl_lightning.errors import UserError
from tpl_lightning.files import file_stem, unique_stems
from tpl_lightning.labels import Occurrence
from tpl_lightning.recognition import Hit, find_hits
from tpl_lightning.runs import NEW, Run, RunVideo, clock_of
from tpl_lightning.sync.phases import phases_of_run
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
    for path in map(Path, names):
        if path.suffix.lower() in _CACHES and not path.is_dir():
            found += [(str(video), path, row) for row, video in enumerate(open_cache(path).video_id)]
        else:
            found += [(file.stem, file, None) for file in collect_files([path])]
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
    actions = run.action_model.actions
    hits = find_hits(run.action_model, embeddings, clock.usual_fps, advance)
    hits = [hit for hit in hits if action in (None, actions[hit.action])]
    phases = {name: phases_of_run(run, name) for name in {actions[hit.action] for hit in hits}}
    found = []
    for hit, video in zip(hits, videos_of_hits(run, embeddings, clock, hits), strict=True):
        own = [hit.start + segment.start for segment in phases[video.action].frame_segments(video)]
        start, end, *starts = clock.seconds(np.array([hit.start, hit.end, *own], dtype=np.float64)).tolist()
        found.append(Occurrence(start, end, video.action, 1 - hit.error / 2, tuple(starts)))
    return found, clock


def videos_of_hits(run: Run, embeddings: np.ndarray, clock: VideoClock, hits: Sequence[Hit]) -> list[RunVideo]:
    """Return the hits as videos with warps of their own, as the run's aligner finds them for clips.

    The aligner may take clips to be whole. What the recording cuts keeps the warp that the search has found for it.
    """
    videos = []
    for number, hit in enumerate(hits):
        warp, frames = (hit.position, source_of_positions(hit.position)), VideoClock.even(len(hit.position), clock.fps)
        videos.append(RunVideo(*warp, f"hit_{number:05d}", run.action_model.actions[hit.action], NEW, frames))
    whole = [number for number, hit in enumerate(hits) if (hit.first, hit.last) == (0, 1)]
    cut = [(videos[k].video_id, videos[k].action, embeddings[hits[k].start : hits[k].end], clock.fps) for k in whole]
    if whole:
        aligned = run.align(cut)
        for row, k in enumerate(whole):
            videos[k] = replace(videos[k], position=aligned.position(row), source=aligned.source(row))
    return videos


def source_of_positions(position: np.ndarray) -> np.ndarray:
    """Return where prototype points are in a video with these positions; beyond it, those that it does not show."""
    grid = np.linspace(0, 1, len(position))
    beyond = np.minimum(grid - position[0], 0) + np.maximum(grid - position[-1], 0)
    return np.asarray(np.interp(grid, position, grid) + beyond)


def write_segments(
    recording: Recording, found: Sequence[Occurrence], folder: Path, advance: Callable[[], None] = lambda: None
) -> list[Path]:
    """Cut occurrences out of a recording, frame by frame: clips ``<action>/<recording>_<number>.mp4``.

    Args:
        recording: A video file.
        found: The occurrences, in order; some may overlap.
        folder: Where the clips go.
        advance: Told of each clip.

    Returns:
        The files.
    """
    clock = probe_video(recording.path).clock
    numbered = [(one, f"{recording.name}_{number:03d}.mp4") for number, one in enumerate(found)]
    targets = [folder / file_stem(one.action) / name for one, name in numbered]
    left = list(zip(found, targets, strict=True))
    while left:  # a pass over the file for those that do not overlap
        frames = (picture for _, picture in read_timed_frames(FrameDecoder(recording.path), size=None))
        later, at, end = [], 0, -np.inf
        for one, target in left:
            if one.start_s < end:
                later.append((one, target))
                continue
            first, last, end = clock.first_after(one.start_s), clock.first_after(one.end_s), one.end_s
            pictures, at = itertools.islice(frames, first - at, last - at), last
            times = clock.times_s[first:last] - clock.times_s[first]
            write_video(target, pictures, clock.usual_fps, times_s=None if clock.is_even else times.tolist())
            advance()
        left = later
    return targets
