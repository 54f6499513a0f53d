"""What a video file holds, without decoding it: the time of each frame, size, codec."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.data.video_files import read_timed_frames

__all__ = ["VideoProbe", "probe_video"]

# Frame rate of a file that states neither times nor a rate, as the reader of frames has it.
_DEFAULT_FPS = 24.0


@dataclass(frozen=True)
class VideoProbe:
    """What is known of a video file; sizes are as shown, after rotation."""

    times_s: np.ndarray
    """Seconds from the first frame to each frame in order of presentation, shape (frames,), float64."""
    width: int
    height: int
    codec: str
    pixel_format: str
    has_audio: bool

    @property
    def fps(self) -> float:
        """Frames per second on average."""
        times = self.times_s
        return (len(times) - 1) / times[-1] if len(times) > 1 and times[-1] > 0 else _DEFAULT_FPS


def probe_video(path: str | Path) -> VideoProbe:
    """Find the time of every frame by reading the packets of a file; only the first frame is decoded.

    Convention: as :func:`~tpl_lightning.data.video_files.read_timed_frames`, so that entry k is the time of the k-th
    frame that it yields. Frames that an edit list hides are not counted.

    Args:
        path: the file.

    Returns:
        Times, size and codec.

    Raises:
        UserError: if PyAV or the file is missing, or the file holds no video that can be decoded.
    """
    _, first = next(read_timed_frames(path))
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or stream.guessed_rate or _DEFAULT_FPS)
        stamps = [_stamp(packet) for packet in _packets(container, stream) if packet.size and not packet.is_discard]
        known = np.sort(np.array([stamp for stamp in stamps if stamp is not None], dtype=np.float64))
        times = known - known[:1] if len(known) == len(stamps) else np.arange(len(stamps)) / fps
        context, audio = stream.codec_context, bool(container.streams.audio)
        return VideoProbe(times, first.shape[1], first.shape[0], context.name, context.pix_fmt or "", audio)


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """Yield packets as far as the file goes; what is broken beyond is the decoder's to report."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except (StopIteration, av.FFmpegError, OSError):
            return


def _stamp(packet: Any) -> float | None:
    stamp = packet.dts if packet.pts is None else packet.pts
    return None if stamp is None else float(stamp * packet.time_base)
