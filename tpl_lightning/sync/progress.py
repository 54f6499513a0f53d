"""The progress of every frame, as a table: what a reward is trained on, or a curve is drawn of."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs
from tpl_lightning.runs import RunVideo
from tpl_lightning.sync.clips import frames_of

PROGRESS_COLUMNS = ("video", "frame", "time_s", "progress", "action")


def frame_progress(video: RunVideo) -> tuple[np.ndarray, np.ndarray]:
    """Return the seconds of each frame, (F,), and its progress: where it lies on the prototype timeline, (F,).

    The frames are those of the file where there is one, else those that were embedded.
    """
    own = frames_of(video)
    times = own.shown.times_s
    return times, video.prototype_time(np.arange(len(times)) if own.is_frame_by_frame else own.embedded_frame(times))


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

    Args:
        path: ``.csv`` or ``.parquet``.
        videos: The videos.
        outputs: The guard of what is written.

    Returns:
        The number of rows.
    """
    tables = [frame_progress(video) for video in videos]
    lengths = [len(times) for times, _ in tables]
    frames = np.concatenate([np.arange(length) for length in lengths])
    times, progress = (np.concatenate(part) for part in zip(*tables, strict=True))
    names, actions = ([getattr(video, key) for video in videos] for key in ("video_id", "action"))
    columns = [np.repeat(names, lengths), frames, times, progress, np.repeat(actions, lengths)]
    if path.suffix.lower() == ".csv":
        rows = zip(*(column.tolist() for column in columns), strict=True)
        outputs.write_csv(path, PROGRESS_COLUMNS, ((v, k, f"{t:.4f}", f"{p:.6f}", a) for v, k, t, p, a in rows))
    else:
        import pyarrow
        from pyarrow import parquet

        columns[3] = progress.astype(np.float32)
        with outputs.writing(path) as part:
            parquet.write_table(pyarrow.table([pyarrow.array(values) for values in columns], PROGRESS_COLUMNS), part)
    return len(frames)
