"""Clips to embed: where their frames come from, what they show, and their split."""

import io
import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from PIL import Image

from tpl_lightning.data import SPLITS
from tpl_lightning.errors import UserError
from tpl_lightning.files import canonical, read_record
from tpl_lightning.labels import (
    Annotations,
    PhaseSpans,
    TableRow,
    read_annotations,
    read_fps,
    read_table,
    spans_of_labels,
    warn_of_names,
)
from tpl_lightning.video import (
    VIDEO_EXTENSIONS,
    FrameSize,
    VideoClock,
    VideoReader,
    find_videos,
    is_video,
    left_out_text,
    note_left_out,
)

__all__ = [
    "IMAGE_EXTENSIONS",
    "TEST_SHARE",
    "Clip",
    "ClipReader",
    "annotate",
    "choose_splits",
    "clips_of_folder",
    "clips_of_list",
]

TEST_SHARE = 0.25
IMAGE_EXTENSIONS: frozenset[str] = frozenset({"jpg", "jpeg", "png", "bmp", "webp"})
"""Name endings of the files that count as images, in lower case."""


class ClipReader(Protocol):
    """Frames, to be iterated once; see :class:`VideoReader`."""

    frames: list[int]

    @property
    def clock(self) -> VideoClock:
        """When the frames yielded are shown."""

    def __iter__(self) -> Iterator[np.ndarray]:
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

    def reader(self, *, size: FrameSize | None = None, fps: float | None = None) -> ClipReader:
        """Return what yields the frames, (H, W, 3), uint8, and then knows their times; see :class:`VideoReader`."""
        if self.kind == "video":
            return VideoReader(self.path, size=size, fps=fps)
        return ImageReader(self, size, fps)

    def stamp(self) -> str:
        """Return what changes when the file does: its size and the time of its last change."""
        if self.kind == "images":
            stats = [path.stat() for path in self._image_files()]
            size, changed = sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)
        else:
            stat = self.path.stat()
            size, changed = stat.st_size, stat.st_mtime_ns
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

    def __init__(self, clip: Clip, size: FrameSize | None, fps: float | None) -> None:
        """Nothing is read yet."""
        self._clip, self._size, self._fps = clip, size, fps
        self.frames: list[int] = []

    @property
    def clock(self) -> VideoClock:
        """When the images yielded are shown."""
        return VideoClock.even(len(self.frames), self._fps or self._clip.image_fps)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the images wanted."""
        images = self._clip.images()
        # The k-th frame is the one nearest to k / fps seconds, as in a video file.
        step = 1.0 if self._fps is None else self._clip.image_fps / self._fps
        wanted = np.ceil(np.arange(int(np.floor((len(images) - 0.5) / step)) + 1) * step - 0.5).astype(int)
        for index in wanted.tolist():
            self.frames.append(index)
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


def clips_of_folder(root: str | Path) -> list[Clip]:
    """List the videos ``<root>/<action>/.../<video>.<ext>``, with splits by :func:`choose_splits`.

    A video is named after its file, with its folders and ending too where that is not unique. What is left out is said.

    Raises:
        UserError: if there are no videos, or an action has only one.
    """
    root = Path(root)
    videos, left = find_videos(root)
    if not videos:
        endings, others = ", ".join(sorted(VIDEO_EXTENSIONS)), left_out_text(left)
        raise UserError(
            f"Expected videos <action>/<video>.<ext> (ext: {endings}) in {root}, but found none"
            + (f" ({others})." if others else ".")
        )
    note_left_out(left)
    counts = Counter(action for action, _ in videos)
    lonely = [action for action, count in counts.items() if count < 2]
    if lonely:
        raise UserError(
            f"Expected at least 2 videos of each action in {root}, but {', '.join(lonely)} has 1: "
            "add one or remove the folder."
        )
    return choose_splits(
        [Clip(name, action, "", path) for (action, path), name in zip(videos, video_names(videos, root), strict=True)]
    )


def video_names(videos: Sequence[tuple[str, Path]], root: Path) -> list[str]:
    """Name videos (action, file): after the file, else ``<action>/<file.ext>``, else the whole path below the root."""
    forms = [
        [path.stem, f"{action}/{path.name}", path.relative_to(root).as_posix() if root in path.parents else str(path)]
        for action, path in videos
    ]
    safe = [[canonical(form) for form in three] for three in forms]
    counts = [Counter(column) for column in zip(*safe, strict=True)]
    return [next((f for f, count in zip(three, counts, strict=True) if count[f] == 1), three[-1]) for three in safe]


def choose_splits(clips: Sequence[Clip]) -> list[Clip]:
    """Give clips without a split one: per action about a quarter test, and at least two train."""
    by_action: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if not clip.split:
            by_action[clip.action].append(clip)
    test: set[str] = set()
    for members in by_action.values():
        # A hash of the name, not its order: names are often sorted by person or camera.
        shuffled = sorted(members, key=lambda clip: (zlib.crc32(os.fsencode(clip.path.name)), clip.path.name))
        test.update(clip.video_id for clip in shuffled[: min(round(TEST_SHARE * len(members)), len(members) - 2)])
    return [c if c.split else replace(c, split="test" if c.video_id in test else "train") for c in clips]


def read_list(path: str | Path) -> list[TableRow]:
    """Read a CSV list of files: columns ``path`` (from the list's folder) and ``action``, others optional.

    Returns:
        A dictionary per line; ``path`` is made absolute, empty fields are left out.

    Raises:
        UserError: if the file, a column, or a listed file is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"{path}: no such list of videos; give a CSV file with the columns path and action, or a folder."
        )
    columns, lines = read_table(path)
    missing = [name for name in ("path", "action") if name not in columns]
    if missing:
        raise UserError(f"{path}: expected the columns path and action, but {', '.join(missing)} is missing; add it.")
    rows = [TableRow({key: value for key, value in row.items() if value}, row.line) for row in lines]
    for row in rows:
        line = row.line
        if "path" not in row or "action" not in row:
            raise UserError(f"{path}: line {line}: expected a path and an action, but found {row}; mend the line.")
        row["path"] = str(path.parent / row["path"])
        if not Path(row["path"]).exists():
            raise UserError(f"{path}: line {line}: there is no file {row['path']}; paths start at the list's folder.")
        if row.get("split", "train") not in SPLITS:
            raise UserError(
                f"{path}: line {line}: expected a split out of {', '.join(SPLITS)}, but got {row['split']!r}."
            )
    if not rows:
        raise UserError(f"{path}: expected at least one video, but the list is empty.")
    return rows


def clips_of_list(path: str | Path) -> tuple[list[Clip], dict[str, list[str]]]:
    """Read the videos of a CSV list.

    Columns: ``path`` (a video file or a folder of images), ``action``; optional ``video_id``, ``split``, ``fps`` (of
    images) and ``labels``: a file of annotations (:func:`read_annotations`), a .npy or .txt file of one phase index per
    frame, or the frames of the key events, as in ``11;23;44``.

    Returns:
        The clips, and the names of each action's phases.

    Raises:
        UserError: if something is missing or inconsistent; names the line.
    """
    rows = read_list(path)
    ids = video_names([(row["action"], Path(row["path"])) for row in rows], Path(path).parent)
    clips = []
    for row, default in zip(rows, ids, strict=True):
        source = Path(row["path"])
        clips.append(
            Clip(
                row.get("video_id", default),
                row["action"],
                row.get("split", ""),
                source,
                kind="images" if source.is_dir() else "video",
                image_fps=read_fps(row.get("fps", "30"), Path(path), row.line),
            )
        )
    named: dict[str, Annotations] = {}
    counts: dict[str, int] = defaultdict(int)
    for index, (row, clip) in enumerate(zip(rows, clips, strict=True)):
        if "labels" not in row:
            continue
        file = Path(path).parent / row["labels"]
        if file.suffix.lower() in (".json", ".csv", ".tsv", ".eaf"):
            named[clip.video_id] = read_annotations(file)
            continue
        clips[index] = replace(clip, phases=_numbered(row["labels"], file, Path(path), row.line))
        assert clips[index].phases is not None
        counts[clip.action] = max(counts[clip.action], 1 + max(span[2] for span in clips[index].phases.spans))  # type: ignore[union-attr]
    for row, clip in zip(rows, clips, strict=True):
        if clip.kind == "video" and not is_video(clip.path):
            endings = ", ".join(sorted(VIDEO_EXTENSIONS))
            raise UserError(f"{path}: line {row.line}: {clip.path} is no video by its ending; there are: {endings}.")
    names = {action: [f"phase {number + 1}" for number in range(count)] for action, count in counts.items()}
    return _annotate_each(choose_splits(clips), named, names)


def _numbered(text: str, file: Path, listed: Path, line: int) -> PhaseSpans:
    """Phases by number: of a file with one per frame, or between the frames of key events."""
    try:
        if file.suffix.lower() in (".npy", ".txt") and file.is_file():
            values = np.load(file, allow_pickle=False) if file.suffix.lower() == ".npy" else np.loadtxt(file)
            if values.ndim != 1 or not np.array_equal(values, np.round(values)) or not (values >= 0).any():
                raise ValueError(f"{file} does not hold one phase index per frame")
            return spans_of_labels(values.astype(np.int64))
        bounds = [0.0, *(float(value) for value in text.split(";")), float("inf")]
        if bounds != sorted(bounds):
            raise ValueError(f"events {text} do not rise")
    except (ValueError, OSError) as error:
        raise UserError(
            f"{listed}: line {line}: expected labels to be a .json, .csv, .eaf, .npy or .txt file, or frames of key "
            f"events such as 11;23;44, but got {text!r} ({error}); mend the line."
        ) from error
    return PhaseSpans(tuple((a, b, k) for k, (a, b) in enumerate(pairwise(bounds))), "frames")


def _annotate_each(
    clips: list[Clip], files: Mapping[str, Annotations], names: dict[str, list[str]]
) -> tuple[list[Clip], dict[str, list[str]]]:
    """Give clips the phases of the file that each of them names; phases of one action are ordered over all files."""
    if not files:
        return clips, names
    merged = {}
    for clip in clips:
        own = files.get(clip.video_id)
        if own is not None:
            key = own.name_of(clip.path.stem, clip.action) or own.name_of(clip.video_id, clip.action)
            # A file that is about one video only need not name it as the list does.
            key = next(iter(own.named)) if key is None and len(own.named) == 1 else key
            if key is None:
                warn_of_names(own.path, f"names none of its videos {clip.video_id!r}: that stays unlabelled", own.named)
                continue
            merged[clip.video_id] = (own, key)
    by_file = {video: own.named.get(key, ()) for video, (own, key) in merged.items()}
    given = {a: n for own, _ in merged.values() for a, n in own.phase_names.items()}
    whole = Annotations(Path("labels"), "frames", by_file, given)
    actions = {clip.video_id: clip.action for clip in clips}
    for action, found in whole.phases_of(actions).items():
        names[action] = names.get(action, []) + [name for name in found if name not in names.get(action, [])]
    for index, clip in enumerate(clips):
        if clip.video_id in merged:
            own, key = merged[clip.video_id]
            clips[index] = replace(clip, phases=own.spans(key, names[clip.action]))
    return clips, names


def annotate(clips: Sequence[Clip], annotations: Annotations) -> tuple[list[Clip], dict[str, list[str]]]:
    """Give clips the phases, split and length that annotations have for their names.

    Clips that are not annotated keep what they have.

    Args:
        clips: the clips.
        annotations: as :func:`read_annotations` gives them.

    Returns:
        The clips, and the names of each action's phases.

    Raises:
        UserError: if no clip is annotated, or an annotation contradicts the action of its clip.
    """
    found = {clip.video_id: annotations.name_of(clip.video_id, clip.action) for clip in clips}
    known = {clip.video_id: clip for clip in clips if found[clip.video_id] is not None}
    if not known:
        raise UserError(
            f"{annotations.path}: expected annotations of the videos by their names ({clips[0].video_id!r} ...), but "
            f"found those of {', '.join(list(annotations.named)[:3]) or 'none'}; name videos after their files."
        )
    for clip in known.values():
        action = annotations.action.get(str(found[clip.video_id]), clip.action)
        if action != clip.action:
            raise UserError(
                f"{annotations.path}: video {clip.video_id!r} is said to show {action!r}, but lies in {clip.action!r}; "
                "move the file or mend the annotation."
            )
    annotations.warn_of_unmatched(set(found.values()), clips[0].video_id)
    names = annotations.phases_of({str(found[video]): clip.action for video, clip in known.items()})
    names = {action: phases for action, phases in names.items() if action in {clip.action for clip in clips}}
    result = []
    for clip in clips:
        name = found[clip.video_id] or clip.video_id
        result.append(
            replace(
                clip,
                split=annotations.split.get(name, clip.split),
                phases=annotations.spans(name, names.get(clip.action, ())) or clip.phases,
                num_frames=annotations.num_frames.get(name, clip.num_frames),
            )
        )
    return result, names
