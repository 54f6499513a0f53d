"""Videos that a run has not seen: embedded as its own were, told apart by what they show, and aligned by its model."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tpl_lightning.errors import UserError
from tpl_lightning.runs.file_search import UNNAMED
from tpl_lightning.runs.run_video import NEW, RunFile, RunVideo
from tpl_lightning.video import VideoClock, probe_video

if TYPE_CHECKING:
    from tpl_lightning.runs.videos import Run

__all__ = ["Broken", "NewVideos"]

Broken = Callable[[Mapping[Path, str], int], None]
"""Told of new videos that cannot be embedded, each with what is wrong, and of how many videos they are."""

# A file whose frame rate is higher than the run's by more than this is embedded at the run's.
_FASTER = 1.1
_MANY = 4  # new videos, whose embedding takes a while


class NewVideos:
    """The new videos of a run; those whose action was asked for are kept as they were embedded.

    Args:
        run: The run.
    """

    def __init__(self, run: "Run") -> None:
        """Nothing is embedded yet."""
        self.run = run
        self._embedded: dict[Path, tuple[np.ndarray, VideoClock]] = {}

    def recognise(self, files: list[RunFile], broken: Broken | None) -> list[RunFile]:
        """Return files with the actions that were not named; without those that show none, which are listed."""
        unnamed = [file for file in files if file.action == UNNAMED]
        if not unnamed:
            return files
        problems: dict[Path, str] = {}
        for path, embedded in self._embed([file.path for file in unnamed], broken, problems):
            self._embedded[path] = embedded
        if broken is not None and problems:
            broken(problems, len(files))
        unnamed = [file for file in unnamed if file.path in self._embedded]
        shown: dict[str, str] = {}
        if unnamed:
            model = self.run.action_model
            verdicts = model.verdicts(model.errors([self._embedded[file.path][0] for file in unnamed]))
            for file, verdict in zip(unnamed, verdicts, strict=True):
                print(f"note: {file.path}: {verdict.words()}", file=sys.stderr)
                if verdict.action is not None:
                    shown[file.video_id] = verdict.action
        found = [replace(file, action=file.action or shown.get(file.video_id, UNNAMED)) for file in files]
        found = [file for file in found if file.action != UNNAMED]
        if not found:
            raise UserError(
                f"none of the {len(files)} videos shows an action of the run {self.run.folder} "
                f"({', '.join(self.run.actions)}); say action=NAME if they do."
            )
        return found

    def thinned_fps(self, path: Path) -> float | None:
        """Return the frame rate at which a file is embedded where its own is much higher than the run's, else None."""
        usual = float(self.run.cache.fps.max())
        return usual if probe_video(path).clock.usual_fps > _FASTER * usual else None

    def align(self, new: dict[str, tuple[Path, str]], broken: Broken | None) -> list[RunVideo]:
        """Embed and align files that the run has not seen, by the name of each video; some may be broken."""
        if not new:
            return []
        problems: dict[Path, str] = {}
        clocks: dict[Path, VideoClock] = {}
        named = {path: (video_id, action) for video_id, (path, action) in new.items()}
        self._embedded |= {path: found for path, shown in named.items() if (found := self._in_cache(path, *shown))}

        def rows() -> Iterator[tuple[str, str, np.ndarray, float]]:
            for path, (embeddings, clock) in self._embed(list(named), broken, problems):
                clocks[path] = clock
                yield *named[path], embeddings, clock.fps
            if broken is not None and problems:
                broken(problems, len(new))
            if not clocks:
                raise _NothingLeft

        try:
            aligned = self.run.align(rows())
        except _NothingLeft:
            return []
        return [
            RunVideo(
                video_id=named[path][0],
                action=named[path][1],
                split=NEW,
                path=path,
                fps=clock.fps,
                position=aligned.position(i),
                source=aligned.source(i),
                times_s=clock.times_s,
            )
            for i, (path, clock) in enumerate(clocks.items())
        ]

    def _in_cache(self, path: Path, video_id: str, action: str) -> tuple[np.ndarray, VideoClock] | None:
        """Return the embeddings and the clock of a new video that the cache holds beside those of the run."""
        cache = self.run.cache
        rows = np.flatnonzero((cache.video_id == video_id) & (cache.action == action))
        if len(rows) == 0 or cache.file_bytes[rows[0]] not in (0, path.stat().st_size):
            return None
        row = int(rows[0])
        times, fps = cache.frame_times(row), float(cache.fps[row])
        even = VideoClock.even(int(cache.lengths[row]), fps)
        return cache.read(row), even if times is None else VideoClock(times, stated_fps=fps)

    def _embed(
        self, paths: Sequence[Path], broken: Broken | None, problems: dict[Path, str]
    ) -> Iterator[tuple[Path, tuple[np.ndarray, VideoClock]]]:
        """Embed files as the run's videos were; note what is wrong with those that cannot be."""
        from tpl_lightning.features import Progress, embed_video, extractor_of_cache

        left = [path for path in paths if path not in self._embedded]
        if left:
            extractor = extractor_of_cache(self.run.cache)
        with Progress("Embedding new videos", len(left), enabled=len(left) > _MANY) as bar:
            for path in paths:
                if path in self._embedded:
                    yield path, self._embedded[path]
                    continue
                try:
                    embedded = embed_video(path, extractor, fps=self.thinned_fps(path))
                except UserError as error:
                    if broken is None:
                        raise
                    problems[path] = str(error)
                    continue
                finally:
                    bar.advance()
                yield path, embedded


class _NothingLeft(Exception):
    """All videos are broken."""
