"""Layouts of recordings, by the name that ``tpl cache import`` takes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tpl_lightning.datasets.importers.video_tree import find_annotations
from tpl_lightning.datasets.signals.deeplabcut import read_deeplabcut
from tpl_lightning.datasets.signals.keypoints import DEFAULT_FPS, KEYPOINT_ENDINGS, read_on_the_body, tracked_video
from tpl_lightning.datasets.signals.lerobot import read_lerobot, with_camera
from tpl_lightning.datasets.signals.mediapipe import read_mediapipe
from tpl_lightning.datasets.signals.recordings import Recording, read_folder
from tpl_lightning.datasets.signals.sleap import read_sleap
from tpl_lightning.datasets.signals.tables import TABLE_ENDINGS, read_channels
from tpl_lightning.datasets.signals.writing import write_recordings
from tpl_lightning.errors import UserError
from tpl_lightning.features import Points

if TYPE_CHECKING:
    from tpl_lightning.features import Extractor


@dataclass(frozen=True)
class SignalLayout:
    """How recordings of one layout are read."""

    read: Callable[..., list[Recording]]
    """From the folder, and the file of annotations, with ``gaps`` and ``fps``, to recordings."""
    expected: str
    """The tree, in a line."""
    standardise: bool = False
    """Whether channels have units of their own."""


def _keypoints(read: Callable[[Path], Points], expected: str, *, least: float) -> SignalLayout:
    own = partial(read_on_the_body, read=read, least=least)
    files = partial(read_folder, read=own, endings=KEYPOINT_ENDINGS, name=tracked_video, default_fps=DEFAULT_FPS)
    return SignalLayout(files, expected)


SIGNALS: dict[str, SignalLayout] = {
    "csv": SignalLayout(
        partial(read_folder, read=read_channels, endings=TABLE_ENDINGS),
        "<action>/<name>.csv or .parquet, a column per channel and one of the time",
        standardise=True,
    ),
    "deeplabcut": _keypoints(
        read_deeplabcut, "<action>/<video>DLC_<network>.csv or .h5 as DeepLabCut writes them", least=0.6
    ),
    "sleap": _keypoints(read_sleap, "<action>/<video>.analysis.h5 or .csv as SLEAP exports them", least=0.2),
    "mediapipe": _keypoints(
        read_mediapipe, "<action>/<video>.csv or .h5 with x, y, z, visibility of each landmark", least=0.5
    ),
    "lerobot": SignalLayout(
        read_lerobot, "meta/info.json, meta/episodes* and data/*/*.parquet of LeRobot v2.1 or v3", standardise=True
    ),
}
"""Layouts by name."""


def import_signals(
    layout: str,
    root: Path,
    out: Path,
    *,
    dataset: str,
    annotations: Path | None = None,
    fps: float | None = None,
    gaps: str = "interpolate",
    camera: str | None = None,
    extractor: "Extractor | None" = None,
    dtype: str = "float32",
    progress: bool = True,
) -> Path:
    """Write a cache from recordings that are no videos.

    Args:
        layout: A key of :data:`SIGNALS`.
        root: The folder.
        out: The cache to write.
        dataset: Name of the data set.
        annotations: Of phases; None: those beside the recordings, if any.
        fps: Rows per second: of files that state none, else to resample to.
        gaps: ``interpolate`` or ``refuse``.
        camera: lerobot: a video feature to embed beside state and action.
        extractor: What embeds it.
        dtype: ``float16`` or ``float32`` on disk.
        progress: Show progress.

    Returns:
        The cache.

    Raises:
        UserError: If the folder holds something else.
    """
    known, name = SIGNALS[layout], layout
    if not root.is_dir():
        raise UserError(f"{root}: expected a folder of recordings ({known.expected}), but there is none.")
    if camera is not None and layout != "lerobot":
        raise UserError(f"camera={camera}: only lerobot has cameras; leave it out.")
    annotations = annotations or find_annotations(root)
    recordings = known.read(root, annotations, gaps=gaps, fps=fps)
    if camera is not None and extractor is not None:
        recordings = with_camera(recordings, root, camera, extractor, progress=progress)
        name = f"{layout}+{extractor.name}"
    source = f"{layout}: {len(recordings)} recordings of {root.name}"
    about = {"dataset": dataset, "extractor": name, "source": source, "dtype": dtype}
    standardise = known.standardise and camera is None
    return write_recordings(
        recordings, out, about=about, fps=fps, annotations=annotations, standardise=standardise, progress=progress
    )
