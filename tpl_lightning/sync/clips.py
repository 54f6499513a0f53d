"""A video file behind a warp: from embedded frames to frames and seconds of the file, and its pictures in order."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tpl_lightning.data.video_files import read_timed_frames
from tpl_lightning.data.video_pixels import FrameSize
from tpl_lightning.data.video_probe import VideoProbe, probe_video
from tpl_lightning.errors import UserError
from tpl_lightning.run_videos import RunVideo

__all__ = ["Clip", "fit_within", "open_clips"]

# Clips are trimmed by a frame or two here and there; beyond this share the file is likely another one.
_LENGTHS_DIFFER = 0.1


@dataclass(frozen=True)
class Clip:
    """A video of a run with its file.

    Convention: where the file has as many frames as were embedded, frame u of the embedding is frame u of the file,
    whatever the frame rate does. Otherwise (the embedding was made at another frame rate, or of a part), frame u is
    the one shown at u / fps seconds.

    Attributes:
        video: The video.
        probe: What the file holds.
    """

    video: RunVideo
    probe: VideoProbe

    @property
    def path(self) -> Path:
        """The file."""
        assert self.video.path is not None
        return self.video.path

    @property
    def is_frame_by_frame(self) -> bool:
        """Whether the embedding has exactly the frames of the file."""
        return len(self.probe.times_s) == self.video.num_frames

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last embedded frame."""
        return float(self.seconds(np.array(self.video.num_frames - 1.0)))

    def seconds(self, frame: np.ndarray) -> np.ndarray:
        """Return the seconds in the file at (fractional) embedded frames; past the last, time goes on at its pace."""
        times = self.probe.times_s
        if not self.is_frame_by_frame:
            return np.asarray(frame) / self.video.fps
        over = np.maximum(np.asarray(frame) - (len(times) - 1), 0.0) / self.probe.fps
        return np.interp(frame, np.arange(len(times)), times) + over

    def embedded_frame(self, seconds: np.ndarray) -> np.ndarray:
        """Return the (fractional) embedded frame at seconds in the file."""
        if self.is_frame_by_frame:
            return np.interp(seconds, self.probe.times_s, np.arange(len(self.probe.times_s)))
        return np.clip(np.asarray(seconds) * self.video.fps, 0, self.video.num_frames - 1)

    def file_position(self, frame: np.ndarray) -> np.ndarray:
        """Return the (fractional) frame of the file at embedded frames."""
        if self.is_frame_by_frame:
            return np.clip(frame, 0, len(self.probe.times_s) - 1)
        times = self.probe.times_s
        return np.interp(self.seconds(frame), times, np.arange(len(times)))

    def file_frame(self, frame: np.ndarray) -> np.ndarray:
        """Return the index of the nearest frame of the file; halves go to the even one."""
        return np.rint(self.file_position(frame)).astype(np.int64)

    def pictures(self, indices: np.ndarray, size: FrameSize | None = None) -> Iterator[np.ndarray]:
        """Decode frames of the file, one picture in memory at a time.

        Args:
            indices: Frames of the file, never decreasing; one may occur many times.
            size: From the width and height of the video to those wanted.

        Yields:
            An RGB frame (H, W, 3) per index. Where the file breaks off, the last frame that could be read.
        """
        frames = read_timed_frames(self.path, size=size)
        (_, picture), shown, ended = next(frames), 0, False
        for wanted in indices.tolist():
            while shown < wanted and not ended:
                following = next(frames, None)
                ended = following is None
                if following is not None:
                    picture, shown = following[1], shown + 1
            yield picture


def open_clips(
    videos: list[RunVideo], *, broken: Callable[[Mapping[Path, str], int], None] | None = None
) -> list[Clip]:
    """Look at the files of videos; what is odd about them is noted on standard error.

    Args:
        videos: The videos.
        broken: As in :meth:`Run.open`: told of files that cannot be read, which are left out if it returns.

    Raises:
        UserError: If a file cannot be read.
    """
    clips: list[Clip] = []
    problems: dict[Path, str] = {}
    for video in videos:
        if video.path is None:
            raise UserError(f"{video.video_id}: the run knows this video, but its file is not here; name the file.")
        try:
            clip = Clip(video, probe_video(video.path))
        except UserError as error:
            if broken is None:
                raise
            problems[video.path] = str(error)
            continue
        embedded, whole = video.num_frames / video.fps, len(clip.probe.times_s) / clip.probe.fps
        if not clip.is_frame_by_frame and abs(embedded - whole) > _LENGTHS_DIFFER * whole:
            print(
                f"note: {video.path} lasts {whole:.2f} s, but {embedded:.2f} s of video {video.video_id!r} were "
                "embedded; frames are found by their time.",
                file=sys.stderr,
            )
        clips.append(clip)
    if broken is not None and problems:
        broken(problems, len(videos))
    return clips


def fit_within(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale a picture (H, W, 3) so that it touches a box from inside."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
