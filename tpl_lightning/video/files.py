"""Reading and writing video files with PyAV, an optional dependency."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from functools import lru_cache
from importlib.util import find_spec
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.files import whole_file
from tpl_lightning.video.clock import VideoClock
from tpl_lightning.video.decoding import FrameDecoder, pyav
from tpl_lightning.video.pixels import FrameSize, RgbConverter, YuvConverter, deinterlaced
from tpl_lightning.video.prefetch import prefetched

_ENCODERS = {"mp4": "h264", "mov": "h264", "mkv": "h264", "avi": "h264", "webm": "libvpx-vp9"}
_WITH_INDEX = ("mp4", "mov")

# Intervals between frames differ by rounding in some containers; more than this factor is a variable frame rate.
_UNEVEN = 1.6

_TIE = 1e-6  # in frames; an instant half-way between two frames must not depend on rounding
_TICKS = 90_000  # per second, of files whose frames come at times of their own


def has_pyav() -> bool:
    """Return whether PyAV can be imported."""
    return find_spec("av") is not None


class VideoReader:
    """The frames of a video file as they are shown, to be iterated once; afterwards it knows when each was shown.

    Pictures are upright and have square pixels, HDR is mapped to what screens show, interlaced fields are joined.
    Damaged packets are left out and a file that breaks off is read as it goes, with a warning.

    Convention:
        Frames come in order of presentation. With ``fps``, the k-th one is the frame nearest to ``k / fps`` seconds
        after the first, up to half an interval after the last; frames are left out or repeated as that takes, so that
        time runs evenly whatever the file's frame rate does. Without ``fps`` each frame comes once, with a warning if
        they are not evenly spaced.

    Args:
        path: the file.
        size: from the width and height of the video, as shown, to those wanted. None keeps the size. Several: each
            frame comes as a tuple of pictures, one of each size, of one decoding.
        fps: frames per second to resample to; None keeps all.

    Attributes:
        frames: (T,) the frame of the file that each of those yielded so far is.

    Raises:
        UserError: while iterating, if PyAV or the file is missing, or the file holds no video that can be decoded.
    """

    def __init__(
        self, path: str | Path, *, size: FrameSize | tuple[FrameSize, ...] | None = None, fps: float | None = None
    ) -> None:
        """Nothing is opened yet."""
        check_fps(fps)
        self._size, self._fps = size, fps
        self._decoder = FrameDecoder(path)
        self.frames: list[int] = []

    @property
    def clock(self) -> VideoClock:
        """When the frames yielded so far are shown."""
        return self._decoder.clock if self._fps is None else VideoClock.even(len(self.frames), self._fps)

    def __iter__(self) -> Iterator[Any]:
        """Yield RGB frames of shape (H, W, 3), uint8; tuples of them where several sizes are wanted."""
        timed = read_timed_frames(self._decoder, size=self._size)
        chosen = _nearest(timed, self._fps) if self._fps else enumerate(picture for _, picture in timed)
        for index, picture in chosen:
            self.frames.append(index)
            yield picture
        if self._fps is None and not self._decoder.damaged:  # which has been said
            _warn_uneven(self._decoder.path, self.clock)


def _nearest(timed: Iterable[tuple[float, Any]], fps: float) -> Iterator[tuple[int, Any]]:
    """Yield number and picture of the frame nearest to each multiple of 1 / fps seconds; of two as near the earlier."""
    wanted, interval = 0, 0.0
    numbered: Iterator[Any] = chain(enumerate(timed), [None])
    # The last frame stands for half of its own interval too: no instant beyond the video is asked for.
    for (index, (time, picture)), following in pairwise(numbered):
        interval = interval if following is None else following[1][0] - time
        while wanted <= (time + interval / 2) * fps + _TIE:
            yield index, picture
            wanted += 1


def read_timed_frames(
    decoder: FrameDecoder, *, size: FrameSize | tuple[FrameSize, ...] | None
) -> Iterator[tuple[float, Any]]:
    """Yield the seconds since the first frame and the picture (H, W, 3), uint8, of each frame of a file.

    Of several sizes, a tuple of pictures.
    """
    converters = [RgbConverter(one) for one in (size if isinstance(size, tuple) else (size,))]
    for time, frame in deinterlaced(decoder):
        pictures = tuple(to_rgb(frame, decoder.pixel_aspect) for to_rgb in converters)
        yield time, pictures if isinstance(size, tuple) else pictures[0]


def _warn_uneven(path: Path, clock: VideoClock) -> None:
    steps = np.diff(clock.times_s)
    # Half a centisecond is what GIF rounds to.
    if len(steps) and steps.max() > _UNEVEN * steps.min() + 0.011:
        warnings.warn(
            f"{path} has a variable frame rate ({1 / steps.max():.3g} to {1 / max(steps.min(), 1e-3):.3g} frames per "
            "second): each frame keeps its own time.",
            stacklevel=3,
        )


def check_fps(fps: float | None) -> None:
    """Check a wanted frame rate.

    Raises:
        UserError: if it is not a positive number, nor None.
    """
    if fps is not None and not 0 < fps < float("inf"):
        raise UserError(f"Expected a positive `fps`, but got fps={fps}.")


def write_video(
    path: str | Path, frames: Iterable[np.ndarray], fps: float, *, crf: int = 18, times_s: Sequence[float] | None = None
) -> Path:
    """Encode frames as H.264 (VP9 in .webm), 4:2:0, which players and browsers show.

    The file appears under its name only when it is complete. An odd width or height grows by repeating its last
    pixels, as 4:2:0 needs even ones.

    Args:
        path: where to write; the ending decides the container: mp4, mov, mkv, avi or webm. Folders are made.
        frames: RGB frames of one shape (H, W, 3), uint8, at least one.
        fps: frames per second.
        crf: constant rate factor, 0 (best) to 51.
        times_s: when each frame appears, rising from 0; None: evenly.

    Returns:
        The path.

    Raises:
        UserError: if PyAV is missing, the ending is another, or a frame has another shape or type than expected.
    """
    av, path = pyav(), Path(path)
    ending = path.suffix[1:].lower()
    if ending not in _ENCODERS:
        raise UserError(f"Expected a file name ending in one of {', '.join(_ENCODERS)} to write, but got {path}.")
    check_fps(fps)
    checked = _checked(frames, path)
    first = next(checked)
    # No random number of the file's own; the index first, so that a browser can start before it has the whole file.
    options = {"fflags": "+bitexact", "movflags": "+faststart"} if ending in _WITH_INDEX else {"fflags": "+bitexact"}
    with whole_file(path) as part, av.open(str(part), "w", options=options) as container:
        codec, rate = _ENCODERS[ending], Fraction(fps).limit_denominator(100_000)
        options = {"crf": str(crf), **(_x264_options() if codec == "h264" else {"b": "0"})}
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = (side + side % 2 for side in first.shape[:2])
        stream.codec_context.thread_count = 1  # the same frames give the same file
        if times_s is not None:
            stream.codec_context.time_base = Fraction(1, _TICKS)
        to_yuv = YuvConverter(stream.codec_context)
        # Drawn and converted in a thread, a frame ahead: the encoder, which takes longest, need not wait.
        with closing(prefetched([lambda: map(to_yuv, chain([first], checked))], ahead=1, size=1)) as ahead:
            for index, picture in enumerate(next(ahead)):
                if times_s is not None:
                    picture.pts, picture.time_base = round(times_s[index] * _TICKS), Fraction(1, _TICKS)
                container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@lru_cache(maxsize=1)
def _x264_options() -> dict[str, str]:
    """Return the options of x264 that make the same file of the same frames.

    Its code for AVX-512 reads memory that nobody has written (in the macroblock tree, at sizes such as 320 x 240), so
    files differ from call to call. That for AVX2 does not, takes as long and makes the file that is right.
    """
    cpu = Path("/proc/cpuinfo")
    has_avx512 = cpu.is_file() and " avx512bw " in cpu.read_text()
    return {"preset": "veryfast", **({"x264-params": "asm=AVX2"} if has_avx512 else {})}


def _checked(frames: Iterable[np.ndarray], path: Path) -> Iterator[np.ndarray]:
    """Yield frames; one that is no RGB picture of the first one's shape is refused, and so is none."""
    shape = None
    for index, frame in enumerate(frames):
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.shape != (shape or frame.shape):
            raise UserError(
                f"Expected frames of one shape {shape or '(H, W, 3)'} and type uint8 for {path}, "
                f"but frame {index} has {frame.shape} and {frame.dtype}."
            )
        shape = frame.shape
        yield frame
    if shape is None:
        raise UserError(f"Expected at least one frame to write {path}, but got none.")


def shrink_to(longest: int) -> FrameSize:
    """Return the function from a size to one whose longest side is no longer than some pixels."""

    def shrink(width: int, height: int) -> tuple[int, int]:
        scale = min(1.0, longest / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    return shrink
