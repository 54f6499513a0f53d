"""The common clock: which prototype time an output frame shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.runs import Run
from tpl_lightning.sync.clips import Clip

PROTOTYPE = "prototype"


@dataclass(frozen=True)
class Clock:
    """Elapsed time to prototype time.

    Attributes:
        duration_s: Seconds from the first to the last point of the reference, at speed 1.
        reference: The video whose tempo counts, None for the prototype's own.
        length: Points L of the prototype.
    """

    duration_s: float
    reference: Clip | None
    length: int

    def prototype_time(self, elapsed_s: np.ndarray) -> np.ndarray:
        """Return the prototype time in [0, 1] shown after some seconds; it stays at the end."""
        if self.reference is None:
            return np.clip(np.asarray(elapsed_s) / self.duration_s, 0.0, 1.0)
        video = self.reference.video
        return video.prototype_time(self.reference.embedded_frame(np.asarray(elapsed_s)))


def make_clock(run: Run, action: str, clips: Sequence[Clip], reference: str) -> Clock:
    """Build the clock of an action.

    Args:
        run: The run.
        action: The action.
        clips: The videos shown.
        reference: ``prototype``: prototype time runs evenly and lasts L frames at the training videos' frame rate.
            The name of a video: that one plays at its own tempo.

    Raises:
        UserError: If no video has that name.
    """
    length = run.prototype_length(action)
    if reference == PROTOTYPE:
        return Clock((length - 1) / run.fps(action), None, length)
    chosen = [clip for clip in clips if clip.video.video_id == reference]
    if not chosen:
        names = ", ".join(clip.video.video_id for clip in clips)
        raise UserError(f"reference={reference}: not among the videos ({names}); say prototype, or one of these.")
    return Clock(chosen[0].duration_s, chosen[0], length)
