"""Layouts of recordings, by the name that ``tpl cache import`` takes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tpl_lightning.datasets.importers.video_tree import find_annotations
from tpl_lightning.datasets.signals.deeplabcut import read_deeplabcut
from tpl_lightning.datasets.signals.lerobot import read_lerobot, with_camera
from tpl_lightning.datasets.signals.mediapipe import read_mediapipe
from tpl_lightning.datasets.signals.recordings import Recording, write_recordings
from tpl_lightning.datasets.signals.sleap import read_sleap
from tpl_lightning.datasets.signals.tables import read_recordings
from tpl_lightning.errors import UserError

if TYPE_CHECKING:
    from tpl_lightning.features import Extractor

__all__ = ["SIGNALS", "SignalLayout", "import_signals"]


@dataclass(frozen=True)
class SignalLayout:
    """How recordings of one layout are read."""

    read: Callable[..., list[Recording]]
    """From the folder, and the file of annotations, with ``gaps`` and ``fps``, to recordings."""
    expected: str
    """The tree, in a line."""
    standardise: bool = False
    """Whether channels have units of their own."""


def _lerobot(root: Path, annotations: Path | None, *, gaps: str, fps: float | None) -> list[Recording]:
    return read_lerobot(root, gaps=gaps)


SIGNALS: dict[str, SignalLayout] = {
    "csv": SignalLayout(
        read_recordings, "<action>/<name>.csv or .parquet, a column per channel and one of the time", standardise=True
    ),
    "deeplabcut": SignalLayout(read_deeplabcut, "<action>/<video>DLC_<network>.csv or .h5 as DeepLabCut writes them"),
    "sleap": SignalLayout(read_sleap, "<action>/<video>.analysis.h5 or .csv as SLEAP exports them"),
    "mediapipe": SignalLayout(read_mediapipe, "<action>/<video>.csv or .h5 with x, y, z, visibility of each landmark"),
    "lerobot": SignalLayout(
        _lerobot, "meta/info.json, meta/episodes* and data/*/*.parquet of LeRobot v2.1 or v3", standardise=True
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
    known = SIGNALS[layout]
    if not root.is_dir():
        raise UserError(f"{root}: expected a folder of recordings ({known.expected}), but there is none.")
    if camera is not None and layout != "lerobot":
        raise UserError(f"camera={camera}: only lerobot has cameras; leave it out.")
    annotations = annotations or find_annotations(root)
    recordings = known.read(root, annotations, gaps=gaps, fps=fps)
    name = layout
    if camera is not None and extractor is not None:
        recordings = with_camera(recordings, root, camera, extractor, progress=progress)
        name = f"{layout}+{extractor.name}"
    return write_recordings(
        recordings,
        out,
        dataset=dataset,
        extractor=name,
        source=f"{layout}: {len(recordings)} recordings of {root.name}",
        fps=fps,
        annotations=annotations,
        dtype=dtype,
        standardise=known.standardise and camera is None,
        progress=progress,
    )
