"""Clips to embed: where their frames come from, what they show, and their split."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

from tpl_lightning.errors import UserError
from tpl_lightning.files import read_record
from tpl_lightning.labels import PhaseSpans
from tpl_lightning.video import FrameSize, VideoClock, VideoReader

IMAGE_EXTENSIONS: frozenset[str] = frozenset({"jpg", "jpeg", "png", "bmp", "webp"})
"""Name endings of the files that count as images, in lower case."""


class ClipReader(Protocol):
    """Frames, to be iterated once; see :class:`VideoReader`."""

    frames: list[int]

    @property
    def clock(self) -> VideoClock:
        """When the frames yielded are shown."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the frames wanted."""


@dataclass(frozen=True)
class Clip:
    """One video to embed."""

    video_id: str
    action: str
    split: str
    path: Path
    """A video file, a folder of images in the order of their names, or a TFRecord file."""
    kind: Literal["video", "images", "tfrecord"] = "video"
    offset: int = 0
    """Byte at which the clip's record begins in a TFRecord file."""
    image_fps: float = 30.0
    """Frames per second of images, which do not say it themselves."""
    phases: PhaseSpans | None = None
    num_frames: int | None = None
    """Frames of the file that belong to the action; what follows is left out. None: all."""

    def reader(self, *, size: FrameSize | tuple[FrameSize, ...] | None = None, fps: float | None = None) -> ClipReader:
        """Return what yields the frames, (H, W, 3), uint8, and then knows their times; see :class:`VideoReader`."""
        if self.kind == "video":
            return VideoReader(self.path, size=size, fps=fps)
        return ImageReader(self, size, fps)

    def stamp(self) -> str:
        """Return what changes when the file does: its size and the time of its last change."""
        stats = [path.stat() for path in (self._image_files() if self.kind == "images" else [self.path])]
        size, changed = sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)
        return f"{self.path.name} {self.offset} {size} {changed}"

    def images(self) -> Sequence[Path] | Sequence[bytes]:
        """Return the images of a clip that is no video file, in order."""
        return self._image_files() if self.kind == "images" else self._record_images()

    def _image_files(self) -> list[Path]:
        files = [path for path in sorted(self.path.iterdir()) if path.suffix[1:].lower() in IMAGE_EXTENSIONS]
        if not files:
            raise UserError(f"Expected images ({', '.join(sorted(IMAGE_EXTENSIONS))}) in {self.path}, but found none.")
        return files

    def _record_images(self) -> list[bytes]:
        images = [step[0] for step in read_record(self.path, self.offset).steps.get("video", []) if len(step)]
        if not images or not isinstance(images[0], bytes):
            raise UserError(
                f"Expected encoded images in the feature list 'video' of {self.path} at byte {self.offset}, found none."
            )
        return images  # type: ignore[return-value]


class ImageReader:
    """The images of a clip at an even rate; as :class:`VideoReader`."""

    def __init__(self, clip: Clip, size: FrameSize | tuple[FrameSize, ...] | None, fps: float | None) -> None:
        """Nothing is read yet."""
        self._clip, self._size, self._fps = clip, size, fps
        self.frames: list[int] = []

    @property
    def clock(self) -> VideoClock:
        """When the images yielded are shown."""
        return VideoClock.even(len(self.frames), self._fps or self._clip.image_fps)

    def __iter__(self) -> Iterator[Any]:
        """Yield the images wanted."""
        images = self._clip.images()
        # The k-th frame is the one nearest to k / fps seconds, as in a video file.
        step = 1.0 if self._fps is None else self._clip.image_fps / self._fps
        wanted = np.ceil(np.arange(int(np.floor((len(images) - 0.5) / step)) + 1) * step - 0.5).astype(int)
        for index in wanted.tolist():
            self.frames.append(index)
            if isinstance(self._size, tuple):
                yield tuple(_decode_image(images[index], self._clip, size) for size in self._size)
            else:
                yield _decode_image(images[index], self._clip, self._size)


def _decode_image(source: Path | bytes, clip: Clip, size: FrameSize | None) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if size is not None:
                target = size(*image.size)
                image.draft("RGB", target)  # JPEG is decoded at a half or a quarter of its size where that suffices
                if image.size != target:
                    return np.asarray(image.convert("RGB").resize(target, Image.Resampling.BICUBIC))
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        name = clip.path if isinstance(source, bytes) else source
        raise UserError(f"Expected an image that can be decoded in {name}, but it cannot: {error}.") from error
