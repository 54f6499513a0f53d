"""One synced file per video, and a table of which frame each shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tpl_lightning.features import Progress
from tpl_lightning.files import Outputs, unique_stems
from tpl_lightning.sync.clips import Clip
from tpl_lightning.sync.clock import Clock
from tpl_lightning.sync.grid import counted, dimmed
from tpl_lightning.video import write_video

FRAME_COLUMNS = ["video_id", "frame", "time_s", "prototype_frame", "prototype_time", "source_frame", "source_time_s"]


def separate_targets(folder: Path, video_ids: Sequence[str]) -> list[Path]:
    """Return the file of each video, and the table last."""
    bare = [str(Path(name).with_suffix("")) if "/" in name else name for name in video_ids]
    return [*(folder / f"{stem}.mp4" for stem in unique_stems(bare)), folder / "frames.csv"]


def write_separate(
    targets: Sequence[Path],
    clips: Sequence[Clip],
    clock: Clock,
    elapsed_s: np.ndarray,
    fps: float,
    outputs: Outputs,
    bar: Progress,
) -> list[Path]:
    """Write each video on the common clock at its own size, and ``frames.csv``.

    Convention: row (video, frame) of the table says that this frame of the synced file is frame ``source_frame`` of
    the video's file, counted from 0 in order of presentation, which is on screen from ``source_time_s`` on.
    Both are empty where the video has no frame: its first or last one stands still then, dimmed.
    ``prototype_frame`` is in 0..L-1 and whole where the clock is the prototype's at its own frame rate.

    Args:
        targets: As :func:`separate_targets` names them.
        clips: The videos.
        clock: The common clock.
        elapsed_s: Seconds of the common clock at each output frame.
        fps: Output frames per second.
        outputs: The guard of what is written.
        bar: Told of each frame.

    Returns:
        The files.
    """
    time = clock.prototype_time(elapsed_s)
    rows: list[tuple[object, ...]] = []
    for target, clip in zip(targets, clips, strict=False):
        frames, there = clip.file_frame(clip.video.frame(time)), clip.video.has_frame(time).tolist()
        with outputs.writing(target) as part:
            pictures = zip(clip.pictures(frames), there, strict=True)
            write_video(part, counted((x if own else dimmed(x) for x, own in pictures), bar), fps)
        seconds = clip.shown.times_s[frames].tolist()
        for k, (t, frame, second, own) in enumerate(zip(time.tolist(), frames.tolist(), seconds, there, strict=True)):
            at = f"{k / fps:.4f}", f"{t * (clock.length - 1):.3f}", f"{t:.6f}"
            rows.append((clip.video.video_id, k, *at, *((frame, f"{second:.4f}") if own else ("", ""))))
    outputs.write_csv(targets[-1], FRAME_COLUMNS, rows)
    return list(targets)
