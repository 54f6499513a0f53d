"""Pixels of video frames: from YUV to RGB of the wanted size, and from RGB to the YUV that players expect."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from tpl_lightning.video.hdr import HLG, PQ, tone_mapped

FrameSize = Callable[[int, int], tuple[int, int]]
"""From the width and height of a video to those wanted."""

# The matrix between YUV and RGB, in FFmpeg's numbers. A file that does not name its own is shown by players with that
# of BT.601, or from this height on with that of BT.709.
_BT709, _UNSPECIFIED, _HD_HEIGHT = 1, 2, 720
_LIMITED_RANGE = 1

_MAX_ASPECT = 8.0  # pixels more oblong than this are a broken header


class RgbConverter:
    """Frames of one video to RGB of the wanted size, as they are to be shown.

    Convention:
        Pictures are turned and mirrored as the file's display matrix says, in quarter turns, and have square pixels:
        the squeezed axis grows. HDR is mapped to BT.709. All have the size of the first one, even where the video
        changes its own. Scaling contexts are kept from frame to frame.

    Args:
        size: from the width and height of the video, as shown, to those wanted. None keeps them.
    """

    def __init__(self, size: FrameSize | None) -> None:
        """Wait for the first frame, which tells the size."""
        from av.video.reformatter import VideoReformatter

        self._size, self._scale, self._convert = size, VideoReformatter(), VideoReformatter()
        self._turn, self._wanted = (False, 1, 1), (0, 0)

    def __call__(self, frame: Any, pixel_aspect: float = 1.0) -> np.ndarray:
        """Return the picture (H, W, 3), uint8.

        Args:
            frame: the decoded frame.
            pixel_aspect: width of a pixel by its height.
        """
        if self._wanted == (0, 0):
            # Of the whole stream, but looked up frame by frame: slow against decoding a small frame.
            self._turn = _turn_of(frame)
            width, height = _square(frame.width, frame.height, pixel_aspect)
            if self._size is not None:  # which knows of what is shown
                width, height = self._size(height, width)[::-1] if self._turn[0] else self._size(width, height)
            self._wanted = width, height
        if frame.colorspace == _UNSPECIFIED and frame.height >= _HD_HEIGHT:
            frame.colorspace = _BT709
        if frame.color_trc in (PQ, HLG):
            deep = self._convert.reformat(frame, *self._wanted, "rgb48le", interpolation="BICUBIC", threads=1)
            return self._upright(tone_mapped(deep.to_ndarray(), frame.color_trc))
        if self._wanted != (frame.width, frame.height):
            # Bicubic is what image models are trained with; swscale widens it when it shrinks, so nothing aliases.
            # Shrinking before the conversion to RGB has half as many values to filter: 3 times as fast.
            form = "yuv420p" if frame.format.name == "yuv420p" else "rgb24"
            frame = self._scale.reformat(frame, *self._wanted, form, interpolation="BICUBIC", threads=1)
        return self._upright(self._convert.reformat(frame, format="rgb24", threads=1).to_ndarray())

    def _upright(self, picture: np.ndarray) -> np.ndarray:
        swaps, down, right = self._turn
        return np.ascontiguousarray((picture.swapaxes(0, 1) if swaps else picture)[::down, ::right])


def _square(width: int, height: int, pixel_aspect: float) -> tuple[int, int]:
    """Return the size of a picture with square pixels; the squeezed axis grows, as in browsers."""
    if not 1 / _MAX_ASPECT <= pixel_aspect <= _MAX_ASPECT:
        return width, height
    return max(width, round(width * pixel_aspect)), max(height, round(height / pixel_aspect))


def _turn_of(frame: Any) -> tuple[bool, int, int]:
    """Return how a stored picture becomes upright: whether axes are swapped, and then the steps, -1 or 1, along each.

    The display matrix of a frame says x' = a x + c y, y' = b x + d y with y downwards.
    """
    matrix = next((data for data in frame.side_data if data.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return False, 1, 1
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
    swaps = abs(b) + abs(c) > abs(a) + abs(d)
    return swaps, -1 if (b if swaps else d) < 0 else 1, -1 if (c if swaps else a) < 0 else 1


def deinterlaced(timed: Iterable[tuple[float, Any]]) -> Iterator[tuple[float, Any]]:
    """Join the two fields of interlaced frames, so that nothing that moves has combs; number and times stay.

    Args:
        timed: time and decoded frame.

    Yields:
        The same, a frame late where the video is interlaced.
    """
    joiner: _Joiner | None = None
    for time, frame in timed:
        if joiner is not None and not joiner.takes(frame):
            yield from joiner.push(None)
            joiner = None
        if joiner is None and frame.interlaced_frame:
            joiner = _Joiner(frame)
        if joiner is None:
            yield time, frame
        else:
            yield from joiner.push(frame, time)
    if joiner is not None:
        yield from joiner.push(None)


class _Joiner:
    """FFmpeg's bwdif, one frame out per frame in; frames that are not interlaced pass as they are."""

    def __init__(self, frame: Any) -> None:
        from av.filter import Graph

        self._shape = (frame.width, frame.height, frame.format.name)
        self._graph, self._times, self._count = Graph(), deque[float](), 0
        self._unit = Fraction(1, 25)  # the filter wants rising times, whatever they are
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=self._unit
        )
        bwdif = self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        sink = self._graph.add("buffersink")
        self._graph.link_nodes(source, bwdif, sink).configure()

    def takes(self, frame: Any) -> bool:
        return (frame.width, frame.height, frame.format.name) == self._shape

    def push(self, frame: Any, time: float = 0.0) -> Iterator[tuple[float, Any]]:
        """Take a frame, or None for the end; yield those that are ready."""
        from av.error import BlockingIOError, EOFError

        if frame is not None:
            self._times.append(time)
            frame.pts, frame.time_base = self._count, self._unit
            self._count += 1
        self._graph.vpush(frame)
        while self._times:
            try:
                yield self._times[0], self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            self._times.popleft()


class YuvConverter:
    """RGB pictures of one size to frames in YUV 4:2:0 with the matrix of BT.709, as HD video has it.

    An odd width or height grows by repeating its last pixels, as 4:2:0 needs even ones.

    Args:
        context: the encoder's codec context; told of the matrix, so that players need not guess it.
    """

    def __init__(self, context: Any) -> None:
        """Name the colours in the file."""
        from av.video.reformatter import VideoReformatter

        self._convert = VideoReformatter()
        context.pix_fmt = "yuv420p"
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE

    def __call__(self, picture: np.ndarray) -> Any:
        """Return the frame of a picture (H, W, 3), uint8."""
        from av import VideoFrame
        from av.video.reformatter import ColorRange, Colorspace

        even = np.pad(picture, ((0, picture.shape[0] % 2), (0, picture.shape[1] % 2), (0, 0)), mode="edge")
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        return self._convert.reformat(
            frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1
        )
