"""A video file behind a warp: from embedded frames to frames and seconds of the file, and its pictures in order."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.runs import RunVideo, Unreadable
from tpl_lightning.video import FrameDecoder, FrameSize, VideoClock, VideoProbe, probe_video, read_timed_frames

# Where the times of the frames are not known, lengths that differ by more than this share are those of another file.
_LENGTHS_DIFFER = 0.1
# Otherwise, frames whose times are off by more than this share of an interval.
_TIMES_DIFFER = 0.5
_RATES_DIFFER = 0.02
_TIE = 1e-6  # as where frames are resampled: an instant half-way between two must not depend on rounding


@dataclass(frozen=True)
class VideoFrames:
    """The frames of a video of a run: those of its file, or those that were embedded, where there is no file.

    Convention: where the file has as many frames as were embedded, frame u of the embedding is frame u of the file.
    Otherwise (the embedding was made at another frame rate, or of a part), frame u is the one shown at its time.

    Attributes:
        video: The video.
        shown: When each frame of the file appears.
    """

    video: RunVideo
    shown: VideoClock

    @property
    def is_frame_by_frame(self) -> bool:
        """Whether the embedding has exactly the frames of the file."""
        shown, embedded = self.shown, self.video.clock
        # As many even instants of a file that does not run evenly are there by chance: it was resampled.
        by_chance = self.video.timed and embedded.is_even and not shown.is_even
        return shown.num_frames == embedded.num_frames and not by_chance

    @property
    def clock(self) -> VideoClock:
        """When each embedded frame appears in the file."""
        return self.shown if self.is_frame_by_frame else self.video.clock

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last embedded frame."""
        return float(self.seconds(np.array(self.video.num_frames - 1.0)))

    def seconds(self, frame: np.ndarray) -> np.ndarray:
        """Return the seconds in the file at (fractional) embedded frames; past the last, time goes on at its pace."""
        return self.clock.seconds(frame)

    def embedded_frame(self, seconds: np.ndarray) -> np.ndarray:
        """Return the (fractional) embedded frame at seconds in the file."""
        return self.clock.frame(seconds)

    def file_position(self, frame: np.ndarray) -> np.ndarray:
        """Return the (fractional) frame of the file at embedded frames."""
        if self.is_frame_by_frame:
            return np.clip(frame, 0, self.shown.num_frames - 1)
        return self.shown.frame(self.seconds(frame))

    def file_frame(self, frame: np.ndarray) -> np.ndarray:
        """Return the index of the nearest frame of the file; halves go to the even one, or as resampling has them."""
        position = self.file_position(frame)
        if self.is_frame_by_frame:
            return np.rint(position).astype(np.int64)
        return np.ceil(position - 0.5 - _TIE).astype(np.int64)


@dataclass(frozen=True)
class Clip(VideoFrames):
    """A video of a run with its file.

    Attributes:
        probe: What the file holds.
    """

    probe: VideoProbe

    @property
    def path(self) -> Path:
        """The file."""
        assert self.video.path is not None
        return self.video.path

    def difference(self) -> str:
        """Return how the file differs from what was embedded under its name, empty where it does not, as is known."""
        video, clock, size = self.video, self.shown, self.path.stat().st_size
        if not self._is_as_long() and not self._has_times():
            lasts, embedded = clock.num_frames / clock.fps, video.num_frames / video.fps
            return (
                f"lasts {lasts:.2f} s ({clock.num_frames} frames), and {embedded:.2f} s ({video.num_frames} frames) "
                "were embedded"
            )
        if video.file_bytes not in (0, size):
            return f"has {size} bytes, and {video.file_bytes} when it was embedded"
        return ""

    def _is_as_long(self) -> bool:
        """Tell whether the lengths agree, where nothing else can be compared: no times, or another frame rate."""
        clock, embedded = self.shown, self.video.clock
        if not self.video.timed:
            lasts, whole = self.video.num_frames / self.video.fps, clock.num_frames / clock.fps
            return self.is_frame_by_frame or abs(lasts - whole) <= _LENGTHS_DIFFER * whole
        is_resampled = embedded.is_even and abs(self.video.fps / clock.usual_fps - 1) > _RATES_DIFFER
        return is_resampled and abs(embedded.last_s - clock.last_s) < 1 / self.video.fps + 1 / clock.usual_fps

    def _has_times(self) -> bool:
        """Tell whether the file has frames at the times of those that were embedded, where these are known."""
        clock, times = self.shown, self.video.clock.times_s
        nearest = np.rint(clock.frame(times)).astype(np.int64)
        off = np.abs(clock.times_s[nearest] - times).max()
        return self.video.timed and bool(off < _TIMES_DIFFER / clock.usual_fps)

    def pictures(self, indices: np.ndarray, size: FrameSize | None = None) -> Iterator[np.ndarray]:
        """Decode frames of the file, one picture in memory at a time.

        Args:
            indices: Frames of the file, never decreasing; one may occur many times.
            size: From the width and height of the video to those wanted.

        Yields:
            An RGB frame (H, W, 3) per index. Where the file breaks off, the last frame that could be read.
        """
        frames = (picture for _, picture in read_timed_frames(FrameDecoder(self.path), size=size))
        picture, shown = next(frames), 0
        for wanted in indices.tolist():
            while shown < wanted:
                picture, shown = next(frames, picture), shown + 1
            yield picture


def open_clips(videos: list[RunVideo], *, unreadable: Unreadable | None = None) -> list[Clip]:
    """Look at the files of videos; of files that are other ones than were embedded is warned.

    Args:
        videos: The videos.
        unreadable: Collects files that cannot be read; None: the first ends all with an error.

    Raises:
        UserError: If a file cannot be read.
    """
    clips: list[Clip] = []
    unreadable = unreadable or Unreadable()
    for video in videos:
        if video.path is None:
            raise UserError(f"{video.video_id}: the run knows this video, but its file is not here; name the file.")
        with unreadable.reading(video.path):
            known = video.clock.times_s if video.timed else None
            probe = probe_video(video.path, known=known)
            clips.append(Clip(video, probe.clock, probe))
    for clip in clips:
        if found := clip.difference():
            warnings.warn(
                f"{clip.path} is taken for video {clip.video.video_id!r} of the run by its name, but {found}; frames "
                "are found by their time. If it is another video, rename it to have it aligned anew.",
                stacklevel=2,
            )
    unreadable.report(len(videos))
    return clips


def frames_of(video: RunVideo) -> VideoFrames:
    """Look at the file of a video, where it has one."""
    return VideoFrames(video, video.clock) if video.path is None else open_clips([video])[0]
