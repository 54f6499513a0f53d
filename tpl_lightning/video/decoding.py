"""Decoding of video files with PyAV, an optional dependency: every frame that a file holds, with its time."""

import heapq
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.video.clock import DEFAULT_FPS, VideoClock

# Matroska says how long a stream lasts to within a few frames.
_UNCOUNTED_FRAMES = 3
# Frames of AVI, whose times FFmpeg guesses, may come with those of their neighbours.
_SHUFFLED = 4
# In steps between frames: where times step back further, a clock has started anew; else they are pushed a little.
_ANEW, _NUDGE = 10, 1e-3


def pyav() -> ModuleType:
    """Return PyAV.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UserError('Videos are read and written by PyAV: run pip install "tpl_lightning[video]".') from error
    return av


def open_video(path: Path) -> Any:
    """Open a file that must hold a video stream.

    Raises:
        UserError: if PyAV or the file is missing, or it holds no video.
    """
    av = pyav()
    if not path.is_file():
        raise UserError(f"Expected a video file at {path}, but there is none.")
    try:
        container = av.open(str(path), metadata_errors="replace")  # titles of old cameras are not UTF-8
    except (av.FFmpegError, OSError) as error:
        raise UserError(
            f"Expected a video that can be decoded at {path}, but it cannot be opened: {error.strerror or error}."
        ) from error
    if not container.streams.video:
        container.close()
        raise UserError(f"Expected a video at {path}, but the file has no video stream.")
    return container


def video_stream(container: Any) -> Any:
    """Return the stream that players show: not the picture on a cover."""
    return container.streams.best("video") or container.streams.video[0]


class FrameDecoder:
    """The frames of a video file in order of presentation, with their times; to be iterated once.

    A damaged packet is left out and decoding goes on, as players do; where a file breaks off, the frames that are still
    in the decoder are read. Both are warned of at the end.

    Convention:
        Yields the seconds since the first frame, which rise, and the decoded frame. A frame without a time follows its
        predecessor at the usual pace, as does one whose time steps back.

    Args:
        path: the file.

    Attributes:
        times: (F,) seconds of the frames so far by the file's own clock.
        damaged: packets that could not be decoded.
        pixel_aspect: width of a pixel by its height, once the file is open.

    Raises:
        UserError: while iterating, if there is no such file, or no frame of it can be decoded.
    """

    def __init__(self, path: str | Path) -> None:
        """Nothing is opened yet."""
        self.path = Path(path)
        self.times: list[float] = []
        self.damaged, self._reason, self._broken = 0, "", ""
        self.pixel_aspect = 1.0
        self._stated: float | None = None
        self._zero = 0.0
        self._packets, self._last_is_cut = 0, False

    @property
    def clock(self) -> VideoClock:
        """The clock of the frames that were read."""
        times = np.array(self.times, dtype=np.float64)
        return VideoClock(times - times[0], start_s=float(times[0] - self._zero), stated_fps=self._stated)

    def __iter__(self) -> Iterator[tuple[float, Any]]:
        """Decode."""
        with open_video(self.path) as container:
            stream = video_stream(container)
            if stream.codec_context is None:
                raise UserError(f"Expected a video that can be decoded at {self.path}, but its codec is not known.")
            # Only the frames' times tell whether what a file states is so.
            self._stated = float(stream.average_rate or stream.guessed_rate or 0) or None
            self.pixel_aspect = float(stream.sample_aspect_ratio or 1.0)
            # Players count from a file's 0, or from its start where that lies before.
            self._zero = min(0.0, (container.start_time or 0) / 1e6)
            # What headers say of the rate counts only where frames have no times at all.
            step = 1 / float(stream.guessed_rate or stream.average_rate or DEFAULT_FPS)
            frames = _sorted_times(self._frames(container, stream), _SHUFFLED if container.format.name == "avi" else 0)
            for time, frame in _rising(frames, step):
                self.times.append(time)
                yield time - self.times[0], frame
            if not self._broken and self._is_cut(container, stream):
                self._broken = "frames are missing"
        self._report()

    def _frames(self, container: Any, stream: Any) -> Iterator[tuple[float | None, Any]]:
        """Yield the time that is written in the file, None where there is none, and the frame."""
        av, packets, packet, shows_damage = pyav(), container.demux(stream), object(), False
        while packet is not None:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError) as error:
                self._broken, packet = str(error.strerror or error), None
            if packet is not None:
                self._packets += bool(packet.size) or packet.dts is not None
                if not packet.size:  # repeats the frame before, or is the end
                    continue
                self._last_is_cut = packet.is_corrupt
            try:
                frames = stream.codec_context.decode(packet)  # None: what is still in the decoder comes out
            except EOFError:
                return
            except (av.FFmpegError, OSError) as error:
                self.damaged += 1
                self._reason, frames = str(error.strerror or error), []
            if frames and not shows_damage:
                # Players show a damaged frame rather than none; before the first whole one there is nothing to show.
                stream.codec_context.flags |= av.codec.context.Flags.output_corrupt
                shows_damage = True
            # Frames that come out in the end do not know their unit of time.
            yield from ((None if f.pts is None else float(f.pts * stream.time_base), f) for f in frames)

    def _is_cut(self, container: Any, stream: Any) -> bool:
        """Return whether a file ends before it should; what an edit list hides is not missing."""
        if self._last_is_cut:
            return True
        if "mov" in container.format.name:  # its index lists all that the file holds
            return self._packets < len(stream.index_entries)
        if container.format.name == "avi":  # frames that repeat the one before are counted, but not there
            with self.path.open("rb") as file:
                return int.from_bytes(file.read(8)[4:], "little") > self.path.stat().st_size
        steps = np.diff(self.times)
        left_s = _stated_end(stream) - self.times[-1] if len(steps) else 0.0
        return left_s > (1 + _UNCOUNTED_FRAMES) * steps.max(initial=0.0)

    def _report(self) -> None:
        count = len(self.times)
        if count == 0:
            reason = self._reason or self._broken or "it is empty"
            raise UserError(
                f"Expected a video that can be decoded at {self.path}, but no frame could be read: {reason}."
            )
        problems = [f"breaks off ({self._broken})"] if self._broken else []
        if self.damaged:
            packets = f"{self.damaged} damaged packet{'s' * (self.damaged > 1)}"
            problems.append(f"has {packets}, left out ({self._reason})")
        if problems:
            warnings.warn(f"{self.path} {' and '.join(problems)}: read {count} frames.", stacklevel=2)


def _sorted_times(frames: Iterable[tuple[float | None, Any]], reach: int) -> Iterator[tuple[float | None, Any]]:
    """Give frames, which come in order, their times in order; ``reach`` frames are looked ahead."""
    waiting: deque[Any] = deque()
    times: list[float] = []
    for time, frame in frames:
        if time is None:
            yield time, frame
            continue
        waiting.append(frame)
        heapq.heappush(times, time)
        if len(waiting) > reach:
            yield heapq.heappop(times), waiting.popleft()
    while waiting:
        yield heapq.heappop(times), waiting.popleft()


def _rising(frames: Iterable[tuple[float | None, Any]], step: float) -> Iterator[tuple[float, Any]]:
    """Let times rise: missing ones go on at the pace of before, as do those of parts whose clocks start anew."""
    previous, shift = None, 0.0
    for stamp, frame in frames:
        if previous is None:
            time = stamp or 0.0
        elif stamp is None:
            time = previous + step
        elif stamp + shift < previous - _ANEW * step:
            time = previous + step
            shift = time - stamp
        elif stamp + shift <= previous:
            time = previous + _NUDGE * step
        else:
            time = stamp + shift
            step = time - previous
        previous = time
        yield time, frame


def _stated_end(stream: Any) -> float:
    """Seconds at which a stream ends by the tag of Matroska and WebM, which do not count frames; 0 without it."""
    parts = stream.metadata.get("DURATION", "").split(":")
    try:
        hours, minutes, seconds = map(float, parts)
    except ValueError:
        return 0.0
    return 3600 * hours + 60 * minutes + seconds
