"""The videos of a run, known or new: which file shows what, and the warp of each."""

import glob
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tpl_lightning.config import Config, load_run_config
from tpl_lightning.data import EmbeddingCache, EmbeddingCacheWriter, VideoSet, open_cache
from tpl_lightning.datasets import SIGNALS
from tpl_lightning.errors import FileError, UserError
from tpl_lightning.evaluation import Alignment
from tpl_lightning.features import video_names
from tpl_lightning.files import canonical
from tpl_lightning.runs.directory import find_cache
from tpl_lightning.runs.run_video import NEW, RunFile, RunVideo
from tpl_lightning.video import VideoClock, collect_files, note_left_out, probe_video, search_videos

if TYPE_CHECKING:
    from tpl_lightning.recognition import ActionModel

__all__ = ["AUTO", "Broken", "Run"]

Broken = Callable[[Mapping[Path, str], int], None]
"""Told of new videos that cannot be embedded, each with what is wrong, and of how many videos they are."""

AUTO = "auto"
"""In the place of an action: whichever a new video shows."""

# A file whose frame rate is higher than the run's by more than this is embedded at the run's.
_FASTER = 1.1
_UNNAMED = ""  # in the place of an action that nothing names
_MANY = 4  # new videos, whose embedding takes a while


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
        self._embedded: dict[Path, tuple[np.ndarray, VideoClock]] = {}  # videos whose action was asked for

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
    def action_model(self) -> "ActionModel":
        """What tells the run's actions apart, learned from its training videos as the run has aligned them."""
        from tpl_lightning.recognition import ActionModel

        rows = np.flatnonzero(self.alignment.split == "train")
        known, own = self._row_of_cache, self.alignment
        train = VideoSet(self.cache, np.array([known[str(video)] for video in own.video_id[rows]]))
        return ActionModel(train, [own.source(row) for row in rows.tolist()], self.config.data)

    def labels(self, video: RunVideo) -> np.ndarray:
        """Return the phase of each frame of a video of the run, (L_i,), -1 where unlabelled."""
        return self.cache.labels(self._row_of_cache[video.video_id])

    def known_videos(self, action: str) -> list[RunVideo]:
        """Return all videos of an action that the run has aligned, without files.

        Raises:
            UserError: If the run has no such action.
        """
        self._check_action(action)
        rows = np.flatnonzero(self.alignment.action == action).tolist()
        return [self._known(row, None) for row in rows]

    def files(
        self, names: Sequence[str | Path], *, action: str | None = None, broken: Broken | None = None
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
            broken: As for :meth:`open`.

        Returns:
            The files in the order given.

        Raises:
            UserError: If a file is missing, or the action unknown, or no video shows an action of the run.
        """
        asked = action == AUTO and AUTO not in self.actions
        action = None if asked else action
        if action is not None:
            self._check_action(action)
        row = {canonical(str(video)): i for i, video in enumerate(self.alignment.video_id)}
        shows: dict[Path, tuple[str, int | None]] = {}
        others: list[Path] = []
        for path, root in (collect_files(names) if names else self._own_files()).items():
            index = self._find_row(path, root, row)
            if index is None and not names:
                continue
            if index is not None:
                shown = str(self.alignment.action[index])
            else:
                shown = _UNNAMED if asked else self._action_of(path, root, action)
            if action is not None and shown != action:
                others.append(path)
                continue
            if not any(path.name == other.name and path.samefile(other) for other in shows):
                shows[path] = (shown, index)
        found = self._named(shows)
        if names:
            note_left_out({"of other actions": others} if others else {})
        if not found:
            where = ", ".join(map(str, names)) or "the usual places"
            wanted = "" if action is None else f" of action {action!r}"
            raise UserError(f"{where}: no video{wanted} there; name video files or folders after {self.folder}.")
        return self._recognised(list(found.values()), broken)

    def _recognised(self, files: list[RunFile], broken: Broken | None) -> list[RunFile]:
        """Return files with the actions that were not named; without those that show none, which are listed."""
        unnamed = [file for file in files if file.action == _UNNAMED]
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
            model = self.action_model
            verdicts = model.verdicts(model.errors([self._embedded[file.path][0] for file in unnamed]))
            for file, verdict in zip(unnamed, verdicts, strict=True):
                print(f"note: {file.path}: {verdict.words()}", file=sys.stderr)
                if verdict.action is not None:
                    shown[file.video_id] = verdict.action
        found = [replace(file, action=file.action or shown.get(file.video_id, _UNNAMED)) for file in files]
        found = [file for file in found if file.action != _UNNAMED]
        if not found:
            raise UserError(
                f"none of the {len(files)} videos shows an action of the run {self.folder} "
                f"({', '.join(self.actions)}); say action=NAME if they do."
            )
        return found

    def _embed(
        self, paths: Sequence[Path], broken: Broken | None, problems: dict[Path, str]
    ) -> Iterator[tuple[Path, tuple[np.ndarray, VideoClock]]]:
        """Embed files as the run's videos were; note what is wrong with those that cannot be."""
        from tpl_lightning.features import Progress, embed_video, extractor_of_cache

        left = [path for path in paths if path not in self._embedded]
        if left:
            extractor = extractor_of_cache(self.cache)
        with Progress("Embedding new videos", len(left), enabled=len(left) > _MANY) as bar:
            for path in paths:
                if path in self._embedded:
                    yield path, self._embedded[path]
                    continue
                try:
                    embedded = embed_video(path, extractor, fps=self._thinned_fps(path))
                except UserError as error:
                    if broken is None:
                        raise
                    problems[path] = str(error)
                    continue
                finally:
                    bar.advance()
                yield path, embedded

    def open(self, files: Sequence[RunFile], *, broken: Broken | None = None) -> list[RunVideo]:
        """Look up or predict the warps of files.

        Those of the run have their warp in the run; others are embedded by the extractor that made the run's cache and
        aligned by the run's model.

        Args:
            files: As :meth:`files` finds them.
            broken: Told of new videos that cannot be embedded, each with what is wrong, and of how many videos they
                are; they are left out if it returns. None: the first ends all with an error.

        Returns:
            The videos in the order given.

        Raises:
            UserError: If one cannot be embedded as the run's videos were.
        """
        known = {file.video_id: self._known(file.row, file.path) for file in files if file.row is not None}
        new = {file.video_id: (file.path, file.action) for file in files if file.row is None}
        known |= {video.video_id: video for video in self._align_new(new, broken)}
        return [known[file.video_id] for file in files if file.video_id in known]

    def align(self, rows: Iterable[tuple[str, str, np.ndarray, float]]) -> Alignment:
        """Predict the warps of embedded videos with the run's model.

        Args:
            rows: Name, action, embeddings (L_i, C) and frames per second of each.
        """
        from tpl_lightning.aligners import restore_aligner

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
            aligner = restore_aligner(self.folder / "checkpoints", self.config, self.alignment)
            return aligner.align(VideoSet(EmbeddingCache(target)))

    def embed_recording(self, path: Path, advance: Callable[[int], None]) -> tuple[np.ndarray, VideoClock]:
        """Embed a long recording, scene by scene, as the run's videos were; see ``features.embed_recording``."""
        from tpl_lightning.features import embed_recording, extractor_of_cache

        return embed_recording(path, extractor_of_cache(self.cache), fps=self._thinned_fps(path), advance=advance)

    def _thinned_fps(self, path: Path) -> float | None:
        """Return the frame rate at which a file is embedded where its own is much higher than the run's, else None."""
        usual = float(self.cache.fps.max())
        return usual if probe_video(path).clock.usual_fps > _FASTER * usual else None

    def videos(self, names: Sequence[str | Path], *, action: str | None = None) -> list[RunVideo]:
        """Find files and their warps: :meth:`files`, then :meth:`open`."""
        return self.open(self.files(names, action=action))

    def _named(self, shows: Mapping[Path, tuple[str, int | None]]) -> dict[str, RunFile]:
        """Name files, each with its action and row: new ones after their folders too where that tells them apart."""
        new = {path: (action, Path(os.path.abspath(path))) for path, (action, index) in shows.items() if index is None}
        root = Path(os.path.commonpath([place.parent for _, place in new.values()])) if new else Path()
        names = dict(zip(new, video_names(list(new.values()), root), strict=True))
        found: dict[str, RunFile] = {}
        for path, (action, index) in shows.items():
            video_id = names[path] if index is None else str(self.alignment.video_id[index])
            if video_id in found:
                raise UserError(
                    f"{path}: a second file of the name {video_id!r} beside {found[video_id].path}; give only one, or "
                    "rename it."
                )
            found[video_id] = RunFile(video_id, action, path, index)
        return found

    def _check_action(self, action: str) -> None:
        if action not in self.actions:
            raise UserError(
                f"action={action}: the run {self.folder} has no such action; there are: {', '.join(self.actions)}."
            )

    @cached_property
    def _row_of_cache(self) -> dict[str, int]:
        return {str(video): i for i, video in enumerate(self.cache.video_id)}

    def _known(self, row: int, path: Path | None) -> RunVideo:
        alignment, video = self.alignment, str(self.alignment.video_id[row])
        return RunVideo(
            video_id=video,
            action=str(alignment.action[row]),
            split=str(alignment.split[row]),
            path=path,
            fps=float(self.cache.fps[self._row_of_cache[video]]),
            position=alignment.position(row),
            source=alignment.source(row),
            times_s=self.cache.frame_times(self._row_of_cache[video]),
            file_bytes=int(self.cache.file_bytes[self._row_of_cache[video]]),
        )

    def _find_row(self, path: Path, root: Path, row: dict[str, int]) -> int | None:
        """Return the row of a file: by folders and name where names occur twice, else by its name."""
        parts = [canonical(part) for part in Path(os.path.abspath(path)).parts]
        longer = ["/".join(parts[-count:]) for count in range(len(parts), 1, -1)]
        index = next((row[name] for name in [*longer, canonical(path.stem)] if name in row), None)
        if index is None:  # in another folder than the action's, if its name says which video it is
            named = [i for name, i in row.items() if name.rpartition("/")[1:] == ("/", canonical(path.name))]
            index = named[0] if len(named) == 1 else None
        folder = self._named_action(path, root)
        if index is not None and folder is not None and folder != self.alignment.action[index]:
            return None  # a clip of another action that happens to have the same name
        return index

    def _named_action(self, path: Path, root: Path) -> str | None:
        """Return the action that a file's folder names, or one above it up to ``root``: as given, then behind links."""
        by_name = {canonical(action): action for action in self.actions}
        given, top = Path(os.path.abspath(path)), Path(os.path.abspath(root))
        folders = [folder for folder in given.parents if folder == top or top in folder.parents]
        for folder in [*folders, path.resolve().parent]:
            if canonical(folder.name) in by_name:
                return by_name[canonical(folder.name)]
        return None

    def _action_of(self, path: Path, root: Path, given: str | None) -> str:
        """Return what a new video shows: what its folder is named, what was given, all that there is, or nothing."""
        folder = self._named_action(path, root)
        if folder is not None:
            return folder
        return given or (self.actions[0] if len(self.actions) == 1 else _UNNAMED)

    def _own_files(self) -> dict[Path, Path]:
        """Look where the data layer keeps or makes videos; the first place that has any wins."""
        data, beside = self.config.data, self.cache.path.parent
        roots = [beside / "videos" / self.cache.dataset, beside / self.cache.dataset, beside / "videos"]
        roots += [Path(data.root) / data.dataset, Path(data.root) / "videos" / data.dataset]
        row = {canonical(str(video)): i for i, video in enumerate(self.alignment.video_id)}
        for root in roots:
            files = search_videos(root)[0] if root.is_dir() else []
            if any(self._find_row(path, root, row) is not None for path in files):
                return dict.fromkeys(files, root)
        if self.cache.extractor.partition("+")[0] in SIGNALS:
            raise UserError(
                f"{self.folder}: a run of signals ({self.cache.extractor}), to which no video is attached; name "
                "video files that are called as the recordings, or see `tpl transfer RUN what=progress`."
            )
        raise UserError(
            f"{self.folder}: its video files are not beside the cache, nor in {data.root}; name files or folders after "
            "the run."
        )

    def _align_new(self, new: dict[str, tuple[Path, str]], broken: Broken | None) -> list[RunVideo]:
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
            aligned = self.align(rows())
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
        cache = self.cache
        rows = np.flatnonzero((cache.video_id == video_id) & (cache.action == action))
        if len(rows) == 0 or cache.file_bytes[rows[0]] not in (0, path.stat().st_size):
            return None
        row = int(rows[0])
        times, fps = cache.frame_times(row), float(cache.fps[row])
        even = VideoClock.even(int(cache.lengths[row]), fps)
        return cache.read(row), even if times is None else VideoClock(times, stated_fps=fps)


class _NothingLeft(Exception):
    """All videos are broken."""
