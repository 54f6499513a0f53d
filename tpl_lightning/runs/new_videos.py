"""Videos that a run has not seen: embedded as its own were, told apart by what they show, and aligned by its model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tpl_lightning import features
from tpl_lightning.runs.file_search import UNNAMED
from tpl_lightning.runs.run_video import NEW, RunFile, RunVideo, Unreadable, clock_of
from tpl_lightning.video import VideoClock, probe_video

if TYPE_CHECKING:
    from tpl_lightning.runs.videos import Run

# A file whose frame rate is higher than the run's by more than this is embedded at the run's.
_FASTER = 1.1
_MANY = 4  # new videos, whose embedding takes a while


class NewVideos:
    """The new videos of a run; each is embedded once.

    Args:
        run: The run.
    """

    def __init__(self, run: "Run") -> None:
        """Nothing is embedded yet."""
        self.run = run
        self._embedded: dict[Path, tuple[np.ndarray, VideoClock]] = {}

    def recognise(self, files: list[RunFile], unreadable: Unreadable) -> list[RunFile]:
        """Return files with the actions that were not named; without those that show none, which are listed."""
        unnamed = [file for file in files if file.action == UNNAMED]
        if not unnamed:
            return files
        unnamed = self._embed(unnamed, unreadable, len(files))
        actions = self.run.recognise([file.path for file in unnamed], [self._embedded[f.path][0] for f in unnamed])
        shown = dict(zip((file.path for file in unnamed), actions, strict=True))
        found = [replace(file, action=file.action or shown.get(file.path, UNNAMED)) for file in files]
        self.run.refuse_none([file.action for file in found])
        return [file for file in found if file.action != UNNAMED]

    def thinned_fps(self, path: Path) -> float | None:
        """Return the frame rate at which a file is embedded where its own is much higher than the run's, else None."""
        usual = float(self.run.cache.fps.max())
        return usual if probe_video(path).clock.usual_fps > _FASTER * usual else None

    def align(self, files: Sequence[RunFile], unreadable: Unreadable) -> list[RunVideo]:
        """Embed and align files that the run has not seen; some may not be readable."""
        files = self._embed(files, unreadable, len(files))
        if not files:
            return []
        embedded = [self._embedded[file.path] for file in files]
        aligned = self.run.align(
            (file.video_id, file.action, rows, clock.fps) for file, (rows, clock) in zip(files, embedded, strict=True)
        )
        return [
            RunVideo(
                position=aligned.position(i),
                source=aligned.source(i),
                video_id=file.video_id,
                action=file.action,
                split=NEW,
                clock=clock,
                path=file.path,
                timed=True,
            )
            for i, (file, (_, clock)) in enumerate(zip(files, embedded, strict=True))
        ]

    def _row_of_cache(self, file: RunFile) -> int | None:
        """Return the row of a new video that the cache holds beside those of the run."""
        cache = self.run.cache
        rows = np.flatnonzero((cache.video_id == file.video_id) & (cache.action == file.action))
        if len(rows) == 0 or cache.file_bytes[rows[0]] not in (0, file.path.stat().st_size):
            return None
        return int(rows[0])

    def _embed(self, files: Sequence[RunFile], unreadable: Unreadable, total: int) -> list[RunFile]:
        """Embed files as the run's videos were, and return those that could be."""
        cache, left = self.run.cache, [file for file in files if file.path not in self._embedded]
        rows = {file.path: self._row_of_cache(file) for file in left}
        held = {path: row for path, row in rows.items() if row is not None}
        self._embedded |= {path: (cache.read(row), clock_of(cache, row)) for path, row in held.items()}
        left = [file for file in left if file.path not in self._embedded]
        if left:
            extractor = features.extractor_of_cache(cache)
        with features.Progress("Embedding new videos", len(left), enabled=len(left) > _MANY) as bar:
            for file in left:
                with unreadable.reading(file.path):
                    self._embedded[file.path] = features.embed_video(
                        file.path, extractor, fps=self.thinned_fps(file.path)
                    )
                bar.advance()
        unreadable.report(total)
        return [file for file in files if file.path in self._embedded]
