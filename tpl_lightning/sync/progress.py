"""The progress of every frame, as a table: what a reward is trained on, or a curve is drawn of."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs
from tpl_lightning.runs import RunVideo
from tpl_lightning.sync.clips import frames_of

PROGRESS_COLUMNS = ("video", "frame", "time_s", "progress", "action")


def check_progress_target(path: Path) -> None:
    """Check that a table can be written in the format that its ending names; before any work.

    Raises:
        UserError: If PyArrow is needed and missing.
    """
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise UserError(
                f'{path}: PyArrow is needed to write Parquet: pip install "tpl_lightning[signals]", or give '
                f"out={path.with_suffix('.csv')}."
            ) from error


def write_progress(path: Path, videos: Sequence[RunVideo], outputs: Outputs) -> int:
    """Write a row per frame: ``video, frame, time_s, progress, action``.

    Progress is where a frame lies on the prototype timeline. The frames are those of the file where there is one, else
    those that were embedded.

    Args:
        path: ``.csv`` or ``.parquet``.
        videos: The videos.
        outputs: The guard of what is written.

    Returns:
        The number of rows.
    """
    parts = []
    for video in videos:
        own = frames_of(video)
        frames, times = np.arange(own.shown.num_frames), own.shown.times_s
        progress = video.prototype_time(frames if own.is_frame_by_frame else own.embedded_frame(times))
        name, action = (np.full(len(frames), text) for text in (video.video_id, video.action))
        parts.append((name, frames, times, progress, action))
    columns = [np.concatenate(part) for part in zip(*parts, strict=True)]
    if path.suffix.lower() == ".csv":
        rows = zip(*(column.tolist() for column in columns), strict=True)
        outputs.write_csv(path, PROGRESS_COLUMNS, ((v, k, f"{t:.4f}", f"{p:.6f}", a) for v, k, t, p, a in rows))
    else:
        import pyarrow
        from pyarrow import parquet

        columns[3] = columns[3].astype(np.float32)
        with outputs.writing(path) as part:
            parquet.write_table(pyarrow.table([pyarrow.array(values) for values in columns], PROGRESS_COLUMNS), part)
    return len(columns[0])
