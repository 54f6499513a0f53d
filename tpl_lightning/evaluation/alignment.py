"""The Alignment: what every aligner yields, and all that metrics, figures and commands read of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from tpl_lightning.errors import FileError, UserError
from tpl_lightning.evaluation.warp import Warp, faced_positions, within_video
from tpl_lightning.files import check_room, whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tpl_lightning.data import VideoSet

_TEXT = ("video_id", "action", "split")
_NUMBERS = {
    "offsets": np.int64,
    "prototype_position": np.float32,
    "prototype_length": np.int64,
    "source_position": np.float32,
    "source_offsets": np.int64,
}


@dataclass(frozen=True)
class Alignment:
    """Where every frame of every video lies on the prototype timeline of its action.

    Convention: times are in [0, 1] on both sides. ``source_position`` is T^theta at the L prototype points
    (prototype time -> video time), ``prototype_position`` is T^-theta at the frames u / (L_i - 1) (video
    time -> prototype time).

    Open ends: where a video misses the begin or the end, its positions start above 0 or end below 1, and
    ``source_position`` is below 0 or above 1 at prototype points where it has no frame. Where it idles before or after,
    ``source_position`` starts above 0 or ends below 1, and the frames outside have position 0 or 1: they face no point.

    Attributes:
        video_id: (N,) names.
        action: (N,) action of each video.
        split: (N,) train, val or test.
        offsets: (N + 1,) frames of video i are ``offsets[i]:offsets[i + 1]``.
        prototype_position: (F,) float32, never decreasing within a video.
        prototype_length: (N,) the length L of the prototype of the video's action, in frames.
        source_position: flat float32, L values per video.
        source_offsets: (N + 1,) bounds of each video in ``source_position``.

    Example:
        >>> ends = np.linspace(0, 1, 3)
        >>> alignment = Alignment.from_rows(
        ...     video_id=["a"], action=["jump"], split=["train"], positions=[ends**2], sources=[ends**0.5]
        ... )
        >>> alignment.position(0).tolist(), len(alignment), alignment.to_frames()["frame"].tolist()
        ([0.0, 0.25, 1.0], 1, [0, 1, 2])
    """

    video_id: np.ndarray
    action: np.ndarray
    split: np.ndarray
    offsets: np.ndarray
    prototype_position: np.ndarray
    prototype_length: np.ndarray
    source_position: np.ndarray
    source_offsets: np.ndarray

    @classmethod
    def of_videos(
        cls, videos: "VideoSet", positions: Sequence[np.ndarray], sources: Sequence[np.ndarray]
    ) -> "Alignment":
        """Build from what an aligner finds for each video, see :meth:`from_rows`.

        Raises:
            UserError: If a warp is not finite; names the video.
        """
        return cls.from_rows(
            video_id=videos.video_id, action=videos.action, split=videos.split, positions=positions, sources=sources
        )

    @classmethod
    def from_rows(
        cls,
        *,
        video_id: np.ndarray,
        action: np.ndarray,
        split: np.ndarray,
        positions: Sequence[np.ndarray],
        sources: Sequence[np.ndarray],
    ) -> "Alignment":
        """Build from one array of prototype positions and one of source positions per video.

        Rounding may turn a strictly increasing warp into steps of -1 ulp; those are flattened here, so that
        the contract (never decreasing, within [0, 1]) holds to the bit.

        Raises:
            UserError: If a warp is not finite; names the video.
        """
        for video, position, source in zip(video_id, positions, sources, strict=True):
            if not (np.isfinite(position).all() and np.isfinite(source).all()):
                raise UserError(
                    f"video {str(video)!r}: its warp is not finite; the options of this method are too extreme for "
                    "these features, take them nearer to the defaults."
                )
        lengths = np.array([len(p) for p in positions], dtype=np.int64)
        sizes = np.array([len(s) for s in sources], dtype=np.int64)
        monotone = [np.clip(np.maximum.accumulate(p), 0.0, 1.0) for p in positions]
        return cls(
            video_id=np.asarray(video_id, dtype=str),
            action=np.asarray(action, dtype=str),
            split=np.asarray(split, dtype=str),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            prototype_position=np.concatenate(monotone).astype(np.float32),
            prototype_length=sizes,
            source_position=np.concatenate(sources).astype(np.float32),
            source_offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        )

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.video_id)

    @property
    def lengths(self) -> np.ndarray:
        """(N,) frames per video."""
        return np.diff(self.offsets)

    def position(self, index: int) -> np.ndarray:
        """Return T^-theta at the frames of one video, (L_i,)."""
        return self.prototype_position[self.offsets[index] : self.offsets[index + 1]]

    def source(self, index: int) -> np.ndarray:
        """Return T^theta at the prototype points of one video, (L,)."""
        return self.source_position[self.source_offsets[index] : self.source_offsets[index + 1]]

    def select(self, rows: np.ndarray) -> "Alignment":
        """Return the alignment of some videos, by their rows."""
        return Alignment.from_rows(
            video_id=self.video_id[rows],
            action=self.action[rows],
            split=self.split[rows],
            positions=[self.position(i) for i in rows],
            sources=[self.source(i) for i in rows],
        )

    def row(self, video: int | str) -> int:
        """Return the row of a video by its name; a number is the row, from the end where it is negative.

        Raises:
            UserError: If there is none.
        """
        if isinstance(video, str):
            found = np.flatnonzero(self.video_id == video).tolist()
        else:
            found = [range(len(self))[video]] if -len(self) <= video < len(self) else []
        if not found:
            some = ", ".join(self.video_id[:5].tolist()) + (", ..." if len(self) > 5 else "")
            raise UserError(f"video {video!r}: not among the {len(self)} videos of this alignment ({some}).")
        return int(found[0])

    def warp(self, video: int | str) -> Warp:
        """Return the warp of a video, by its row or its name."""
        row = self.row(video)
        return Warp(self.position(row), self.source(row))

    def to_frames(self) -> Any:
        """Return a table with a row for each frame: a pandas DataFrame, or where pandas is missing a dict of arrays.

        Columns: ``video_id``, ``action``, ``split``, ``frame``, ``video_time`` (in [0, 1]), ``prototype_position``.
        """
        lengths = self.lengths
        frame = np.arange(int(lengths.sum())) - np.repeat(self.offsets[:-1], lengths)
        table = {name: np.repeat(getattr(self, name), lengths) for name in _TEXT}
        table |= {"frame": frame, "video_time": frame / np.repeat(np.maximum(lengths - 1, 1), lengths)}
        table["prototype_position"] = self.prototype_position
        try:
            import pandas as pd
        except ImportError:
            return table
        return pd.DataFrame(table)

    def plot(self, **options: Any) -> "Axes":
        """Draw where the frames of every video lie, see :func:`plot_alignment`, and return the axes."""
        from tpl_lightning.evaluation.plots import plot_alignment

        return plot_alignment(self, **options)

    def faced(self, index: int) -> np.ndarray:
        """Return what :meth:`position` does, but -1 or 2 for idle frames, which face no prototype point."""
        return faced_positions(self.position(index), self.source(index))

    def there(self, index: int) -> np.ndarray:
        """Return at which prototype points one video has a frame, (L,) bool."""
        return within_video(self.source(index))

    def shown(self, index: int) -> np.ndarray:
        """Return what :meth:`position` does, but NaN for idle frames, which plots leave out."""
        faced = self.faced(index)
        return np.where((faced < 0) | (faced > 1), np.nan, faced)

    def save(self, path: Path) -> None:
        """Write alignment.h5: a temporary file beside it, then a rename."""
        check_room(Path(path), 8 * (self.prototype_position.size + self.source_position.size) + 512 * len(self))
        with whole_file(Path(path)) as part, h5py.File(part, "w") as file:
            for name in _TEXT:
                file.create_dataset(name, data=getattr(self, name).astype(object), dtype=h5py.string_dtype())
            for name, dtype in _NUMBERS.items():
                file.create_dataset(name, data=getattr(self, name).astype(dtype))

    @classmethod
    def load(cls, path: str | Path) -> "Alignment":
        """Read alignment.h5.

        Raises:
            UserError: If the file is missing, unreadable or lacks a dataset.
        """
        path = Path(path)
        if not path.is_file():
            raise FileError(f"{path}: no alignment there; make one with `tpl fit ... run.name=NAME`.")
        try:
            with h5py.File(path, "r") as file:
                text = {name: file[name].asstr()[:].astype(str) for name in _TEXT}
                numbers = {name: file[name][:].astype(dtype) for name, dtype in _NUMBERS.items()}
        except (OSError, KeyError) as error:
            raise FileError(f"{path}: not a readable alignment ({error}); fit the run again.") from error
        return cls(**text, **numbers)
