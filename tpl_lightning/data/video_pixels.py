"""Pixels of video frames: from YUV to RGB of the wanted size, and from RGB to the YUV that players expect."""

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["FrameSize", "RgbConverter", "YuvConverter"]

FrameSize = Callable[[int, int], tuple[int, int]]
"""From the width and height of a video to those wanted."""

# The matrix between YUV and RGB, in FFmpeg's numbers. A file that does not name its own is shown by players with that
# of BT.601, or from this height on with that of BT.709.
_BT709, _UNSPECIFIED, _HD_HEIGHT = 1, 2, 720
_LIMITED_RANGE = 1


class RgbConverter:
    """Frames of one video to RGB of the wanted size, turned as they are to be shown.

    All have the size of the first one, even where the video changes its own. Scaling contexts are kept from frame to
    frame.

    Args:
        size: from the width and height of the video, as shown, to those wanted. None keeps them.
    """

    def __init__(self, size: FrameSize | None) -> None:
        """Wait for the first frame, which tells the size."""
        from av.video.reformatter import VideoReformatter

        self._size, self._scale, self._convert = size, VideoReformatter(), VideoReformatter()
        self._turns, self._wanted = 0, (0, 0)

    def __call__(self, frame: Any) -> np.ndarray:
        """Return the picture (H, W, 3), uint8."""
        if self._wanted == (0, 0):
            # Metadata of the whole stream, but looked up frame by frame: slow against decoding a small frame.
            # It is in degrees counter-clockwise, as is np.rot90.
            self._turns = round(frame.rotation / 90) % 4
            self._wanted = self._size_before_turning(frame.width, frame.height)
        if frame.colorspace == _UNSPECIFIED and frame.height >= _HD_HEIGHT:
            frame.colorspace = _BT709
        if self._wanted != (frame.width, frame.height):
            # Bicubic is what image models are trained with; swscale widens it when it shrinks, so nothing aliases.
            # Shrinking before the conversion to RGB has half as many values to filter: 3 times as fast.
            form = "yuv420p" if frame.format.name == "yuv420p" else "rgb24"
            frame = self._scale.reformat(frame, *self._wanted, form, interpolation="BICUBIC", threads=1)
        picture: np.ndarray = self._convert.reformat(frame, format="rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(np.rot90(picture, self._turns)) if self._turns else picture

    def _size_before_turning(self, width: int, height: int) -> tuple[int, int]:
        if self._size is None:
            return width, height
        if self._turns % 2:
            wanted_height, wanted_width = self._size(height, width)
            return wanted_width, wanted_height
        return self._size(width, height)


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
