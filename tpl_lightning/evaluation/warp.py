"""The warp of one video, and which of its frames face no prototype point."""

from dataclasses import dataclass

import numpy as np

_ROUNDING = 1e-5  # a frame is much longer


def prototype_grid(length: int) -> np.ndarray:
    """Return the points j / (length - 1) of the prototype timeline, float32.

    Example:
        >>> prototype_grid(5).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return np.linspace(0.0, 1.0, length, dtype=np.float32)


def idle_frames(position: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which frames come before the action and which after it, (L_i,) bool each.

    Args:
        position: T^-theta at the frames, (L_i,).
        source: T^theta at the prototype points, (L,).
    """
    times = prototype_grid(len(position))
    before = (times < source[0] - _ROUNDING) & (position <= _ROUNDING)
    return before, (times > source[-1] + _ROUNDING) & (position >= 1 - _ROUNDING)


def faced_positions(position: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return positions (L_i,), -1 for idle frames before the action and 2 for those after, see :func:`idle_frames`."""
    before, after = idle_frames(position, source)
    return np.where(before, -1.0, np.where(after, 2.0, position)).astype(position.dtype)


def within_video(times: np.ndarray) -> np.ndarray:
    """Return which video times are those of frames, bool; rounding may carry them a little below 0 or above 1."""
    return (times >= -_ROUNDING) & (times <= 1 + _ROUNDING)


def warped(video: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return U_i ∘ T^theta_i: the frames of a video (L, C) at times (P,) in [0, 1], linear between frames, (P, C).

    Example:
        >>> warped(np.array([[0.0], [2.0], [4.0]]), np.array([0.0, 0.75])).ravel().tolist()
        [0.0, 3.0]
    """
    import torch  # late: a warp itself needs none

    from tpl_lightning.functional import resample

    frames, when = (torch.from_numpy(np.ascontiguousarray(x)).unsqueeze(0) for x in (video, times))
    return np.asarray(resample(frames, when, torch.tensor([len(video)]))[0].numpy())


@dataclass(frozen=True)
class Warp:
    """The warp of one video: a function from prototype time to video time, both in [0, 1].

    Convention: frames may be fractional. Both maps never decrease and are linear between the points that the alignment
    stores; what lies outside is read at the near end.

    Attributes:
        position: (L_i,) T^-theta at the frames.
        source: (L,) T^theta at the prototype points.

    Example:
        >>> warp = Warp(position=np.array([0.0, 0.75, 1.0]), source=np.array([0.0, 0.25, 1.0]))
        >>> float(warp(0.5)), float(warp.inverse(0.5)), float(warp.frame(0.5)), float(warp.prototype_time(1))
        (0.25, 0.75, 0.5, 0.75)
    """

    position: np.ndarray
    source: np.ndarray

    def __call__(self, prototype_time: np.ndarray | float) -> np.ndarray:
        """Return the video time at prototype times, T^theta."""
        grid = prototype_grid(len(self.source)).astype(np.float64)
        return np.asarray(np.interp(prototype_time, grid, self.source))

    def inverse(self, video_time: np.ndarray | float) -> np.ndarray:
        """Return the prototype time at video times, T^-theta."""
        return self.prototype_time(np.asarray(video_time) * (len(self.position) - 1))

    def frame(self, prototype_time: np.ndarray | float) -> np.ndarray:
        """Return the frame at prototype times."""
        return self(prototype_time).clip(0.0, 1.0) * (len(self.position) - 1)

    def has_frame(self, prototype_time: np.ndarray | float) -> np.ndarray:
        """Return at which prototype times the video has a frame, bool: elsewhere it has not begun, or is over."""
        return within_video(self(prototype_time))

    def prototype_time(self, frame: np.ndarray | float) -> np.ndarray:
        """Return the prototype time of frames."""
        return np.asarray(np.interp(frame, np.arange(len(self.position)), self.position.astype(np.float64)))
