"""The Alignment: what every aligner yields, and all that metrics, figures and commands read of one."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.files import check_room, whole_file

__all__ = ["Alignment", "prototype_grid"]

_TEXT = ("video_id", "action", "split")
_NUMBERS = {
    "offsets": np.int64,
    "prototype_position": np.float32,
    "prototype_length": np.int64,
    "source_position": np.float32,
    "source_offsets": np.int64,
}


def prototype_grid(length: int) -> np.ndarray:
    """Return the points j / (length - 1) of the prototype timeline, float32."""
    return np.linspace(0.0, 1.0, length, dtype=np.float32)


@dataclass(frozen=True)
class Alignment:
    """Where every frame of every video lies on the prototype timeline of its action.

    Convention: times are in [0, 1] on both sides. ``source_position`` is T^theta at the L prototype points
    (prototype time -> video time), ``prototype_position`` is T^-theta at the frames u / (L_i - 1) (video
    time -> prototype time).

    Attributes:
        video_id: (N,) names.
        action: (N,) action of each video.
        split: (N,) train, val or test.
        offsets: (N + 1,) frames of video i are ``offsets[i]:offsets[i + 1]``.
        prototype_position: (F,) float32, never decreasing within a video.
        prototype_length: (N,) the length L of the prototype of the video's action, in frames.
        source_position: flat float32, L values per video.
        source_offsets: (N + 1,) bounds of each video in ``source_position``.
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
    def from_rows(
        cls,
        *,
        video_id: np.ndarray,
        action: np.ndarray,
        split: np.ndarray,
        positions: list[np.ndarray],
        sources: list[np.ndarray],
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

    def save(self, path: Path) -> None:
        """Write alignment.h5: a temporary file beside it, then a rename."""
        check_room(path, 8 * (self.prototype_position.size + self.source_position.size) + 512 * len(self))
        with whole_file(path) as part, h5py.File(part, "w") as file:
            for name in _TEXT:
                file.create_dataset(name, data=getattr(self, name).astype(object), dtype=h5py.string_dtype())
            for name, dtype in _NUMBERS.items():
                file.create_dataset(name, data=getattr(self, name).astype(dtype))

    @classmethod
    def load(cls, path: Path) -> "Alignment":
        """Read alignment.h5.

        Raises:
            UserError: If the file is missing, unreadable or lacks a dataset.
        """
        if not path.is_file():
            raise UserError(f"{path}: no alignment there; make one with `tpl fit ... run.name=NAME`.")
        try:
            with h5py.File(path, "r") as file:
                text = {name: file[name].asstr()[:].astype(str) for name in _TEXT}
                numbers = {name: file[name][:].astype(dtype) for name, dtype in _NUMBERS.items()}
        except (OSError, KeyError) as error:
            raise UserError(f"{path}: not a readable alignment ({error}); fit the run again.") from error
        return cls(**text, **numbers)
