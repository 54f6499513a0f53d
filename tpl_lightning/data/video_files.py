"""Reading and writing video files with PyAV, an optional dependency."""

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tpl_lightning.data.video_pixels import FrameSize, RgbConverter, YuvConverter
from tpl_lightning.errors import UserError

_ENCODERS = {"mp4": "h264", "mov": "h264", "mkv": "h264", "avi": "h264", "webm": "libvpx-vp9"}

# Containers whose headers count frames may count a few that an edit list hides.
_UNCOUNTED_FRAMES = 3


# Intervals between frames differ by rounding in some containers; more than this factor is a variable frame rate.
_UNEVEN = 1.6

_TIE = 1e-6  # in frames; an instant half-way between two frames must not depend on rounding


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video file; sizes are as shown, after rotation."""

    num_frames: int
    fps: float
    width: int
    height: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_frames / self.fps


def has_pyav() -> bool:
    """Return whether PyAV can be imported."""
    try:
        _pyav()
    except UserError:
        return False
    return True


def _pyav() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise UserError(
            'Expected PyAV to read or write videos, but it is not installed: run pip install "tpl_lightning[video]".'
        ) from error
    return av


def read_frames(
    path: str | Path, *, size: int | FrameSize | None = None, fps: float | None = None
) -> Iterator[np.ndarray]:
    """Decode a video frame by frame, turned as its rotation metadata says.

    A file that breaks off is read as far as it goes, with a warning.

    Convention:
        Frames come in order of presentation. With ``fps``, the k-th one is the frame nearest to ``k / fps`` seconds
        after the first, up to half an interval after the last; frames are left out or repeated as that takes, so that
        time runs evenly whatever the file's frame rate does. Without ``fps`` each frame comes once, with a warning if
        they are not evenly spaced.

    Args:
        path: the file.
        size: longest side in pixels to shrink frames to, smaller frames stay as they are; or a function from the width
            and height of the video, as shown, to those wanted. None keeps the size.
        fps: frames per second to resample to; None keeps all.

    Yields:
        RGB frames of shape (H, W, 3), uint8.

    Raises:
        UserError: if PyAV or the file is missing, or the file holds no video that can be decoded, or ``size`` or
            ``fps`` is not positive.
    """
    check_fps(fps)
    if isinstance(size, int) and size < 1:
        raise UserError(f"Expected a positive `size`, but got {size}.")
    timed = _decode(Path(path), _shrink_to(size) if isinstance(size, int) else size, warn_uneven=fps is None)
    yield from (frame for _, frame in timed) if fps is None else _resample(timed, fps)


def read_timed_frames(path: str | Path, *, size: FrameSize | None = None) -> Iterator[tuple[float, np.ndarray]]:
    """Decode a video frame by frame with the time of each frame; see :func:`read_frames`.

    Args:
        path: the file.
        size: from the width and height of the video, as shown, to those wanted. None keeps the size.

    Yields:
        Seconds since the first frame, and the RGB frame (H, W, 3), uint8.

    Raises:
        UserError: as :func:`read_frames`.
    """
    yield from _decode(Path(path), size)


def read_video(
    path: str | Path, *, size: int | FrameSize | None = None, fps: float | None = None
) -> tuple[np.ndarray, float]:
    """Read a whole video into memory; see :func:`read_frames`.

    Args:
        path: the file.
        size: longest side in pixels to shrink frames to, or a function of width and height.
        fps: frames per second to resample to.

    Returns:
        Frames of shape (T, H, W, 3), uint8, and frames per second.

    Raises:
        UserError: as :func:`read_frames`.
    """
    return np.stack(list(read_frames(path, size=size, fps=fps))), frames_per_second(path, fps)


def check_fps(fps: float | None) -> None:
    """Check a wanted frame rate.

    Raises:
        UserError: if it is not a positive number, nor None.
    """
    if fps is not None and not 0 < fps < float("inf"):
        raise UserError(f"Expected a positive `fps`, but got fps={fps}.")


def frames_per_second(path: str | Path, fps: float | None = None) -> float:
    """Return the frames per second of what :func:`read_frames` yields: ``fps``, or what the file states.

    Raises:
        UserError: as :func:`read_frames`.
    """
    return video_fps(path) if fps is None else float(fps)


def video_fps(path: str | Path) -> float:
    """Return the average frames per second that the file states.

    Args:
        path: the file.

    Returns:
        Frames per second.

    Raises:
        UserError: as :func:`read_frames`.
    """
    with _open(Path(path)) as container:
        return _fps(container.streams.video[0])


def video_info(path: str | Path) -> VideoInfo:
    """Look at a video file; it is decoded as a whole only if its header does not count the frames.

    Args:
        path: the file.

    Returns:
        Frames, frames per second and size.

    Raises:
        UserError: as :func:`read_frames`.
    """
    path = Path(path)
    with _open(path) as container:
        stream = container.streams.video[0]
        count, fps = stream.frames, _fps(stream)
    frames = read_frames(path)
    height, width = next(frames).shape[:2]
    return VideoInfo(count or 1 + sum(1 for _ in frames), fps, width, height)


def write_video(path: str | Path, frames: Iterable[np.ndarray], fps: float, *, crf: int = 18) -> Path:
    """Encode frames as H.264 (VP9 in .webm), 4:2:0, which players and browsers show.

    The file appears under its name only when it is complete. An odd width or height grows by repeating its last
    pixels, as 4:2:0 needs even ones.

    Args:
        path: where to write; the ending decides the container: mp4, mov, mkv, avi or webm. Folders are made.
        frames: RGB frames of one shape (H, W, 3), uint8, at least one.
        fps: frames per second.
        crf: constant rate factor, 0 (best) to 51.

    Returns:
        The path.

    Raises:
        UserError: if PyAV is missing, the ending is another, or a frame has another shape or type than expected.
    """
    av, path = _pyav(), Path(path)
    codec = _ENCODERS.get(path.suffix[1:].lower())
    if codec is None:
        raise UserError(
            f"Expected a file name ending in {', '.join('.' + name for name in _ENCODERS)} to write, but got {path}."
        )
    if not fps > 0:
        raise UserError(f"Expected `fps` > 0 to write {path}, but got {fps}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        # The index goes first, so that a browser can start and seek before it has the whole file.
        options = {"movflags": "+faststart"} if path.suffix.lower() in {".mp4", ".mov"} else {}
        with av.open(str(part), "w", options=options) as container:
            _encode(container, codec, frames, fps, crf, path)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _encode(container: Any, codec: str, frames: Iterable[np.ndarray], fps: float, crf: int, path: Path) -> None:
    stream, shape = None, None
    for index, frame in enumerate(frames):
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.shape != (shape or frame.shape):
            raise UserError(
                f"Expected frames of one shape {shape or '(H, W, 3)'} and type uint8 for {path}, "
                f"but frame {index} has {frame.shape} and {frame.dtype}."
            )
        if stream is None:
            shape = frame.shape
            options = {"crf": str(crf), **({"preset": "veryfast"} if codec == "h264" else {"b": "0"})}
            stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(100_000), options=options)
            stream.height, stream.width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
            # One thread: the same frames give the same file everywhere, and clips are encoded side by side anyway.
            stream.codec_context.thread_count = 1
            to_yuv = YuvConverter(stream.codec_context)
        container.mux(stream.encode(to_yuv(frame)))
    if stream is None:
        raise UserError(f"Expected at least one frame to write {path}, but got none.")
    container.mux(stream.encode(None))


def _open(path: Path) -> Any:
    """Open a file that must hold a video stream."""
    av = _pyav()
    if not path.is_file():
        raise UserError(f"Expected a video file at {path}, but there is none.")
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise UserError(
            f"Expected a video that can be decoded at {path}, but it cannot be opened: {error.strerror or error}."
        ) from error
    if not container.streams.video:
        container.close()
        raise UserError(f"Expected a video at {path}, but the file has no video stream.")
    return container


def _fps(stream: Any) -> float:
    return float(stream.average_rate or stream.guessed_rate or 24.0)


def _stated_end(stream: Any) -> float:
    """Seconds at which a stream ends by the tag of Matroska and WebM, which do not count frames; 0 without it."""
    parts = stream.metadata.get("DURATION", "").split(":")
    try:
        hours, minutes, seconds = map(float, parts)
    except ValueError:
        return 0.0
    return 3600 * hours + 60 * minutes + seconds


def _shrink_to(longest: int) -> FrameSize:
    def shrink(width: int, height: int) -> tuple[int, int]:
        scale = min(1.0, longest / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    return shrink


def _decode(path: Path, size: FrameSize | None, *, warn_uneven: bool = False) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds since the first frame, and the frame."""
    av, count, start, previous, problem = _pyav(), 0, 0.0, 0.0, ""
    shortest, longest = float("inf"), 0.0
    with _open(path) as container:
        stream = container.streams.video[0]
        expected, fps = stream.frames, _fps(stream)
        end_s = 0.0 if expected else _stated_end(stream)
        frames, to_rgb = container.decode(stream), RgbConverter(size)
        # AVI has a constant rate by its format; its timestamps are those of decoding.
        timed = container.format.name != "avi"
        while True:
            try:
                frame = next(frames)
            except StopIteration:
                break
            except (av.FFmpegError, OSError) as error:
                problem = str(error.strerror or error)
                break
            time = float(frame.time) if timed and frame.time is not None else count / fps
            if count == 0:
                start = previous = time
            else:
                time = max(time, previous)  # broken files may step back
                shortest, longest = min(shortest, time - previous), max(longest, time - previous)
                previous = time
            count += 1
            yield time - start, to_rgb(frame)
    if count == 0:
        raise UserError(
            f"Expected a video that can be decoded at {path}, but no frame could be read: {problem or 'it is empty'}."
        )
    stops_early = end_s - previous > (1 + _UNCOUNTED_FRAMES) * max(longest, 1 / fps)
    if problem or expected - count > _UNCOUNTED_FRAMES or stops_early:
        found = f"{count} of {expected}" if expected else str(count)
        warnings.warn(f"{path} breaks off ({problem or 'frames are missing'}): read {found} frames.", stacklevel=3)
    # Half a centisecond is what GIF rounds to.
    if warn_uneven and longest > _UNEVEN * shortest + 0.011:
        warnings.warn(
            f"{path} has a variable frame rate ({1 / longest:.3g} to {1 / max(shortest, 1e-3):.3g} frames per second): "
            "time runs evenly only with fps=NUMBER.",
            stacklevel=3,
        )


def _resample(timed: Iterable[tuple[float, np.ndarray]], fps: float) -> Iterator[np.ndarray]:
    """For each multiple of 1 / fps seconds the nearest frame; of two as near the earlier."""
    wanted, held, held_time, interval = 0, None, 0.0, 0.0
    for time, frame in timed:
        if held is not None:
            interval = time - held_time
            while wanted <= (held_time + interval / 2) * fps + _TIE:
                yield held
                wanted += 1
        held, held_time = frame, time
    # The last frame stands for half of its own interval too: no instant beyond the video is asked for.
    while held is not None and wanted <= (held_time + interval / 2) * fps + _TIE:
        yield held
        wanted += 1
