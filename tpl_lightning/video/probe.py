"""What a video file holds: when each frame appears, size, codec."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from tpl_lightning.video.clock import VideoClock
from tpl_lightning.video.decoding import FrameDecoder, open_video, pyav, video_stream
from tpl_lightning.video.pixels import RgbConverter

_SAME_S = 1e-4


@dataclass(frozen=True)
class VideoProbe:
    """What is known of a video file; sizes are as shown: upright, with square pixels."""

    clock: VideoClock
    """When each frame appears that can be decoded, in order of presentation."""
    width: int
    height: int
    codec: str
    pixel_format: str
    has_audio: bool
    is_interlaced: bool
    duration_s: float
    """Length that the file states, which players keep to; 0 where it states none."""


def probe_video(path: str | Path, *, known: np.ndarray | None = None) -> VideoProbe:
    """Find the time of every frame by decoding the file: what cannot be decoded, or is hidden, has no time.

    Convention: as :class:`~tpl_lightning.video.files.VideoReader`, so that entry k of the clock is the k-th frame
    that it yields without ``fps``.

    Args:
        path: the file.
        known: (F,) the times of its frames as they were when it was embedded. Where its packets, which are fast to
            read, have these times, only the first frame is decoded.

    Returns:
        Times, size and codec; kept for the next time that the same file is asked for.

    Raises:
        UserError: if PyAV or the file is missing, or the file holds no video that can be decoded.
    """
    path = Path(path)
    open_video(path).close()  # says what is wrong where there is no such file
    status = path.stat()
    expected = None if known is None else known.tobytes()
    return _probe(path, status.st_size, status.st_mtime_ns, expected)


@lru_cache(maxsize=1024)
def _probe(path: Path, _size: int, _changed: int, expected: bytes | None) -> VideoProbe:
    known = None if expected is None else np.frombuffer(expected)
    trusted = known is not None and _has_packets_at(path, known)
    decoder, (height, width), is_interlaced = FrameDecoder(path), (0, 0), False
    for _, frame in decoder:
        if height == 0:
            height, width = RgbConverter(None)(frame, decoder.pixel_aspect).shape[:2]
        is_interlaced = is_interlaced or bool(frame.interlaced_frame)
        if trusted:
            break
    clock = replace(decoder.clock, times_s=known) if trusted else decoder.clock  # type: ignore[arg-type]
    with open_video(path) as container:
        context, has_audio = video_stream(container).codec_context, bool(container.streams.audio)
        codec, form, duration_s = context.name, context.pix_fmt or "", (container.duration or 0) / 1e6
    return VideoProbe(clock, width, height, codec, form, has_audio, is_interlaced, duration_s)


def _has_packets_at(path: Path, times: np.ndarray) -> bool:
    """Return whether every packet of a file is to be shown, and these are the times."""
    with open_video(path) as container:
        stream = video_stream(container)
        try:
            stamps = [
                None if packet.pts is None or packet.is_discard or packet.is_corrupt else packet.pts * stream.time_base
                for packet in container.demux(stream)
                if packet.size
            ]
        except (pyav().FFmpegError, OSError):
            return False
    if None in stamps:
        return False
    found = np.sort(np.array(stamps, dtype=np.float64))
    return len(found) == len(times) and bool(np.abs(found - found[:1] - times).max(initial=0.0) < _SAME_S)
