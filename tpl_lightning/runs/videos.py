"""A run: its alignment, its cache, and the warps of any videos."""

import glob
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from tpl_lightning import aligners, features, recognition
from tpl_lightning.config import Config, load_run_config
from tpl_lightning.data import EmbeddingCache, EmbeddingCacheWriter, VideoSet, open_cache
from tpl_lightning.errors import FileError, UserError
from tpl_lightning.evaluation import Alignment
from tpl_lightning.files import canonical
from tpl_lightning.runs.directory import find_cache
from tpl_lightning.runs.file_search import find_files
from tpl_lightning.runs.new_videos import NewVideos
from tpl_lightning.runs.run_video import RunFile, RunVideo, Unreadable, clock_of
from tpl_lightning.video import VideoClock


class Run:
    """A run directory: its alignment, its cache, and the warps of any videos.

    Args:
        folder: ``runs/NAME``.
        cache: The run's embedding cache, where it is not at the place that the run remembers.

    Raises:
        UserError: If the folder is no complete run.
    """

    def __init__(self, folder: str | Path, *, cache: str | Path | None = None) -> None:
        """Read the alignment; the cache is opened when it is needed."""
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileError(f"{self.folder}: no such run directory; give runs/NAME as `tpl fit` left it.")
        self.alignment = Alignment.load(self.folder / "alignment.h5")
        self._cache_path = cache
        self._new = NewVideos(self)

    @cached_property
    def config(self) -> Config:
        """The run's configuration."""
        return load_run_config(self.folder / "config.yaml")

    @cached_property
    def metrics(self) -> dict[str, object]:
        """What metrics.json holds."""
        path = self.folder / "metrics.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FileError(f"{path}: missing or not readable; fit the run again.") from error
        return found if isinstance(found, dict) else {}

    @cached_property
    def cache(self) -> EmbeddingCache:
        """The embedding cache that the run was made of."""
        named = str(self._cache_path or self.metrics.get("cache") or self.config.data.cache)
        path = Path(named if self._cache_path else find_cache(named, self.folder))
        if not (path.is_file() or glob.glob(str(path))):
            raise FileError(f"{named}: the cache of {self.folder} is not there; say where it is with cache=PATH.")
        cache = open_cache(path, self.config.data.groups)
        length = dict(zip(cache.video_id.tolist(), cache.lengths.tolist(), strict=True))
        for video, frames in zip(self.alignment.video_id.tolist(), self.alignment.lengths.tolist(), strict=True):
            if length.get(video) != frames:
                found = f"{length[video]} frames" if video in length else "none"
                raise UserError(
                    f"{path}: not the cache of {self.folder}, which has {frames} frames of video {video!r} (here: "
                    f"{found}); give the right one with cache=PATH, or fit the run again."
                )
        return cache

    @property
    def data_source(self) -> str:
        """What the run's data are; rendered clips are named as such."""
        return str(self.metrics.get("data_source", ""))

    @property
    def actions(self) -> list[str]:
        """Actions that have a prototype, sorted."""
        return sorted(set(self.alignment.action.tolist()))

    def fps(self, action: str) -> float:
        """Return the frames per second of an action's prototype timeline: the median of its training videos'."""
        known = self._row_of_cache
        ids = self.alignment.video_id[(self.alignment.action == action) & (self.alignment.split == "train")]
        return float(np.median(self.cache.fps[[known[str(video)] for video in ids]]))

    def prototype_length(self, action: str) -> int:
        """Return the number of points L of an action's prototype."""
        return int(self.alignment.prototype_length[self.alignment.action == action][0])

    @cached_property
    def action_model(self) -> "recognition.ActionModel":
        """What tells the run's actions apart, learned from its training videos as the run has aligned them."""
        rows = np.flatnonzero(self.alignment.split == "train")
        return recognition.ActionModel(
            self.videos_of(rows), [self.alignment.source(row) for row in rows.tolist()], self.config.data
        )

    def recognise(self, names: Sequence[str | Path], embeddings: Sequence[np.ndarray]) -> list[str]:
        """Return the action that each of some videos shows, and say it; empty where it is none of the run's.

        Args:
            names: Of the videos.
            embeddings: (L_i, C) of each.
        """
        verdicts = self.action_model.verdicts(self.action_model.errors(embeddings)) if embeddings else []
        for name, verdict in zip(names, verdicts, strict=True):
            print(f"note: {name}: {verdict.words()}", file=sys.stderr)
        return [verdict.action or "" for verdict in verdicts]

    def refuse_none(self, actions: Sequence[str]) -> None:
        """Raise UserError if none of some videos shows an action of the run: all are empty."""
        if not any(actions):
            raise UserError(
                f"none of the {len(actions)} videos shows an action of the run {self.folder} "
                f"({', '.join(self.actions)}); name their action (action=NAME) if they do."
            )

    def videos_of(self, rows: np.ndarray) -> VideoSet:
        """Return videos of the run, as its cache has them, by their rows in the alignment."""
        known = [self._row_of_cache[str(video)] for video in self.alignment.video_id[rows]]
        return VideoSet(self.cache, np.array(known))

    def labels(self, video: RunVideo) -> np.ndarray:
        """Return the phase of each frame of a video of the run, (L_i,), -1 where unlabelled."""
        return self.cache.labels(self._row_of_cache[video.video_id])

    def known_videos(self, action: str) -> list[RunVideo]:
        """Return all videos of an action that the run has aligned, without files.

        Raises:
            UserError: If the run has no such action.
        """
        self.check_action(action)
        rows = np.flatnonzero(self.alignment.action == action).tolist()
        return [self._known(row, None) for row in rows]

    def files(
        self, names: Sequence[str | Path], *, action: str | None = None, unreadable: Unreadable | None = None
    ) -> list[RunFile]:
        """Find video files and what they show; only new ones whose action nothing names are read for it.

        A file whose name without its ending is a video of the run is that video; any other is new. A new video shows
        what its folder is named; where that is no action of the run, it is compared with all of them. Those that show
        none are named, and left out.

        Args:
            names: Files and folders, which are searched with all below them. None: the folders where the run's own
                videos usually lie.
            action: Only this action; also what new videos show. ``auto``: new videos are compared with all actions,
                whatever their folders are named.
            unreadable: As for :meth:`open`.

        Returns:
            The files in the order given.

        Raises:
            UserError: If a file is missing, or the action unknown, or no video shows an action of the run.
        """
        return self._new.recognise(find_files(self, names, action), unreadable or Unreadable())

    def open(self, files: Sequence[RunFile], *, unreadable: Unreadable | None = None) -> list[RunVideo]:
        """Look up or predict the warps of files.

        Those of the run have their warp in the run; others are embedded by the extractor that made the run's cache and
        aligned by the run's model.

        Args:
            files: As :meth:`files` finds them.
            unreadable: Collects new videos that cannot be embedded; None: the first ends all with an error.

        Returns:
            The videos in the order given.

        Raises:
            UserError: If one cannot be embedded as the run's videos were.
        """
        known = {file.video_id: self._known(file.row, file.path) for file in files if file.row is not None}
        new = self._new.align([file for file in files if file.row is None], unreadable or Unreadable())
        known |= {video.video_id: video for video in new}
        return [known[file.video_id] for file in files if file.video_id in known]

    def align(self, rows: Iterable[tuple[str, str, np.ndarray, float]]) -> Alignment:
        """Predict the warps of embedded videos with the run's model.

        Args:
            rows: Name, action, embeddings (L_i, C) and frames per second of each.
        """
        with tempfile.TemporaryDirectory(prefix="tpl-") as folder:
            target = Path(folder) / "new.h5"
            with EmbeddingCacheWriter(
                target,
                dataset=self.cache.dataset,
                extractor=self.cache.extractor,
                source="new videos",
                phase_names={},
                dtype=self.cache.dtype.name,
                feature_groups=self.cache.feature_groups,
            ) as writer:
                for video_id, action, embeddings, fps in rows:
                    writer.append(video_id=video_id, action=action, split="test", embeddings=embeddings, fps=fps)
            aligner = aligners.restore_aligner(self.folder / "checkpoints", self.config, self.alignment)
            return aligner.align(VideoSet(EmbeddingCache(target)))

    def embed_recording(self, path: Path, advance: Callable[[int], None]) -> tuple[np.ndarray, VideoClock]:
        """Embed a long recording, scene by scene, as the run's videos were; see ``features.embed_recording``."""
        return features.embed_recording(
            path, features.extractor_of_cache(self.cache), fps=self._new.thinned_fps(path), advance=advance
        )

    def videos(self, names: Sequence[str | Path], *, action: str | None = None) -> list[RunVideo]:
        """Find files and their warps: :meth:`files`, then :meth:`open`."""
        return self.open(self.files(names, action=action))

    def video(self, key: str, name: str, among: Sequence[RunVideo], *, action: str | None = None) -> RunVideo:
        """Return the video that is meant by its name or its file: one of some videos, or a file beside them.

        Args:
            key: The option that names it, for the message.
            name: Name or file.
            among: The videos.
            action: What the file shows.

        Raises:
            UserError: If it is neither.
        """
        is_file = Path(name).is_file()
        for video in among:
            is_it = is_file and video.path is not None and video.path.samefile(name)
            if is_it or canonical(video.video_id) == canonical(name):
                return video
        if not is_file:
            known = ", ".join(video.video_id for video in among)
            raise UserError(f"{key}={name}: not among the videos ({known}), nor a file; give its name or its file.")
        found = self.videos([name], action=action)[0]
        return next((video for video in among if video.video_id == found.video_id), found)

    def check_action(self, action: str) -> None:
        """Raise UserError if the run has no such action."""
        if action not in self.actions:
            raise UserError(
                f"action={action}: the run {self.folder} has no such action; there are: {', '.join(self.actions)}."
            )

    @cached_property
    def _row_of_cache(self) -> dict[str, int]:
        return {str(video): i for i, video in enumerate(self.cache.video_id)}

    def _known(self, row: int, path: Path | None) -> RunVideo:
        alignment, cache = self.alignment, self.cache
        own = self._row_of_cache[str(alignment.video_id[row])]
        return RunVideo(
            position=alignment.position(row),
            source=alignment.source(row),
            video_id=str(alignment.video_id[row]),
            action=str(alignment.action[row]),
            split=str(alignment.split[row]),
            clock=clock_of(cache, own),
            path=path,
            timed=cache.frame_times(own) is not None,
            file_bytes=int(cache.file_bytes[own]),
        )
