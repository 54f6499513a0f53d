"""One synced file per video, and a table of which frame each shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tpl_lightning.data.video_files import write_video
from tpl_lightning.sync.clips import Clip
from tpl_lightning.sync.clock import Clock
from tpl_lightning.sync.output import file_stem, write_csv

__all__ = ["FRAME_COLUMNS", "write_separate"]

FRAME_COLUMNS = (
    "video_id",
    "frame",
    "time_s",
    "prototype_frame",
    "prototype_time",
    "source_frame",
    "source_time_s",
)


def write_separate(folder: Path, clips: Sequence[Clip], clock: Clock, elapsed_s: np.ndarray, fps: float) -> list[Path]:
    """Write each video on the common clock at its own size, and ``frames.csv``.

    Convention: row (video, frame) of the table says that this frame of the synced file is frame ``source_frame`` of
    the video's file, counted from 0 in order of presentation, which is on screen from ``source_time_s`` on.
    ``prototype_frame`` is in 0..L-1 and whole where the clock is the prototype's at its own frame rate.

    Args:
        folder: Where to write; made if missing.
        clips: The videos.
        clock: The common clock.
        elapsed_s: Seconds of the common clock at each output frame.
        fps: Output frames per second.

    Returns:
        The files.
    """
    time = clock.prototype_time(elapsed_s)
    rows: list[tuple[object, ...]] = []
    written = []
    for clip in clips:
        frames = clip.file_frame(clip.video.frame(time))
        name = clip.video.video_id
        target = folder / f"{file_stem(str(Path(name).with_suffix('')) if '/' in name else name)}.mp4"
        written.append(write_video(target, clip.pictures(frames), fps))
        shown = clip.probe.clock.times_s[frames]
        rows += [
            (clip.video.video_id, k, f"{k / fps:.4f}", f"{t * (clock.length - 1):.3f}", f"{t:.6f}", f, f"{s:.4f}")
            for k, (t, f, s) in enumerate(zip(time.tolist(), frames.tolist(), shown.tolist(), strict=True))
        ]
    written.append(write_csv(folder / "frames.csv", FRAME_COLUMNS, rows))
    return written
