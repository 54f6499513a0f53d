"""LeRobot data sets, v2.0, v2.1 and v3: episodes of tasks as recordings of state and action, and of a camera."""

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpl_lightning.datasets.signals.recordings import Recording, Table, fill_gaps, interpolated
from tpl_lightning.datasets.signals.tables import open_parquet
from tpl_lightning.errors import UserError, first_line
from tpl_lightning.features import Progress

if TYPE_CHECKING:
    from tpl_lightning.features import Extractor

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class _DataSet:
    """A data set by what its folder ``meta`` holds."""

    root: Path
    info: Facts
    """``info.json``: version, frames per second, features, and templates of paths."""
    episodes: list[Facts]
    """What is known of each episode, in order."""

    @classmethod
    def of(cls, root: Path) -> "_DataSet":
        path = root / "meta" / "info.json"
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            version = str(info["codebase_version"])
            if not (version.startswith(("v2.", "v3.")) and info["features"] and float(info["fps"]) > 0):
                raise ValueError(f"version {version}")
            path, lines = root / "meta" / "episodes", []
            if version.startswith("v3."):
                for file in sorted(path.rglob("*.parquet")):
                    table = open_parquet(file)
                    wanted = [name for name in table.column_names if not name.startswith("stats/")]
                    lines += table.select(wanted).to_pylist()
            else:
                path = path.with_suffix(".jsonl")
                lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
            episodes = sorted(lines, key=lambda facts: int(facts["episode_index"]))
        except UserError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = f"({type(error).__name__}: {first_line(error)}); fetch the data set again, or convert it"
            raise UserError(
                f"{path}: expected metadata of LeRobot v2.0, v2.1 or v3.0, but found other {why}."
            ) from error
        if not episodes:
            raise UserError(f"{root / 'meta'}: expected what is known of each episode, but found none.")
        return cls(root, info, episodes)

    @property
    def features(self) -> Mapping[str, Facts]:
        """What is known of each column and video."""
        return self.info["features"]  # type: ignore[no-any-return]

    @property
    def fps(self) -> float:
        """Rows and frames per second."""
        return float(self.info["fps"])

    def file(self, template: str, episode: Facts, *, prefix: str, key: str = "") -> Path:
        """Return the file of an episode as the template of the data set names it."""
        index = int(episode["episode_index"])
        try:
            place = self.root / str(self.info[template]).format(
                episode_index=index,
                episode_chunk=index // int(self.info.get("chunks_size") or 1000),
                chunk_index=int(episode.get(f"{prefix}/chunk_index", 0)),
                file_index=int(episode.get(f"{prefix}/file_index", 0)),
                video_key=key,
            )
        except (KeyError, IndexError, ValueError) as error:
            raise UserError(f"{self.root}/meta/info.json: cannot make a path of {template} ({error!r}).") from error
        if not place.is_file():
            raise UserError(f"{place}: missing, but the metadata name it; fetch the data set again.")
        return place


def read_lerobot(
    root: Path, annotations: Path | None = None, *, gaps: str, fps: float | None = None
) -> list[Recording]:
    """Read the state and action columns of each episode; the action is the task, in words.

    Args:
        root: The data set, with ``meta/info.json``.
        annotations: Are not looked at, as the data set names its files.
        gaps: ``interpolate`` or ``refuse``.
        fps: Is not looked at, as the data set states it.

    Raises:
        UserError: If a file is missing, or of another layout or version.
    """
    data = _DataSet.of(root)
    keys = [key for key, feature in data.features.items() if _is_signal(key, str(feature.get("dtype", "")))]
    if not keys:
        found = ", ".join(data.features)
        raise UserError(f"{root}/meta/info.json: expected a feature observation.state or action, but found {found}.")
    result: list[Recording] = []
    for episode in data.episodes:
        index, tasks = int(episode["episode_index"]), episode.get("tasks") or "task"
        path = data.file("data_path", episode, prefix="data")
        if not result or path != result[-1].path:  # v3 has many in one file
            table = open_parquet(path, [*keys, "episode_index"])
        rows = table.filter(np.asarray(table["episode_index"]) == index)
        if len(rows) < 2:
            raise UserError(f"{path}: expected at least 2 rows of episode {index}, but found {len(rows)}.")
        channels = {key: np.array(rows[key].to_pylist(), np.float64).reshape(len(rows), -1) for key in keys}
        names = [n for key, own in channels.items() for n in _names(key, data.features[key].get("names"), own.shape[1])]
        values = fill_gaps(np.concatenate(list(channels.values()), axis=1), names, path, gaps=gaps)
        task = str(tasks[0] if isinstance(tasks, list) else tasks)
        result.append(Recording(f"episode_{index:06d}", task, path, Table(tuple(names), values), data.fps))
    tasks = [recording.action for recording in result]
    alone = [task for task in tasks if tasks.count(task) == 1]
    if len(alone) == len(tasks):
        raise UserError(f"{root}: expected at least 2 episodes of a task, but found {len(tasks)} of as many tasks.")
    if alone:
        warnings.warn(f"{root}: left out, the only episode of its task: {', '.join(alone[:3])}", stacklevel=2)
    return [recording for recording in result if recording.action not in alone]


def _is_signal(key: str, dtype: str) -> bool:
    first, _, rest = key.partition(".")
    is_known = first == "action" or (first == "observation" and "state" in rest.split(".")[0])
    return is_known and dtype.startswith(("float", "int"))


def _names(key: str, names: Any, width: int) -> list[str]:
    """Return the names of a feature's channels, numbers where it has none; v2 may hold them in a dictionary."""
    if isinstance(names, dict):
        names = next((value for value in names.values() if isinstance(value, list)), None)
    flat = list(map(str, names)) if isinstance(names, list) else []
    return [f"{key}.{name}" for name in (flat if len(set(flat)) == width else range(width))]


def with_camera(
    recordings: list[Recording], root: Path, camera: str, extractor: "Extractor", *, progress: bool
) -> list[Recording]:
    """Put the embedding of a camera's frames beside the channels of each episode.

    Args:
        recordings: As :func:`read_lerobot` gives them.
        root: The data set.
        camera: Name of the video feature, or its last part, as ``top`` of ``observation.images.top``.
        extractor: What embeds; fitted here if it is not. Its channels together weigh as
            much as the others.
        progress: Show progress.

    Raises:
        UserError: If there is no such camera, or a video cannot be read.
    """
    data = _DataSet.of(root)
    cameras = [key for key, feature in data.features.items() if feature.get("dtype") == "video"]
    key = next((name for name in cameras if camera in (name, name.rpartition(".")[2])), None)
    if key is None:
        raise UserError(f"camera={camera}: {root} has no such video; there are: {', '.join(cameras) or 'none'}.")
    raw = []
    with Progress(f"Embedding {key}", len(recordings), enabled=progress) as bar:
        for features in _camera_features(data, key, recordings, extractor):
            raw.append(features)
            bar.advance(frames=len(features))
    if not extractor.is_fitted:
        extractor.fit(raw)
    views = [extractor.transform(features).astype(np.float64) for features in raw]
    energy = np.mean([view.var(axis=0).sum() for view in views])
    spread = np.mean([recording.table.values.var(axis=0) for recording in recordings], axis=0)
    scale = np.sqrt(np.where(spread > 0, spread, 1.0) * max(int((spread > 0).sum()), 1))
    result = []
    for recording, view in zip(recordings, views, strict=True):
        own = recording.table.values
        even = interpolated(view, np.arange(len(view)), np.linspace(0, len(view) - 1, len(own)))
        columns = (*recording.table.columns, *(f"{key}.{number}" for number in range(even.shape[1])))
        values = np.concatenate([own / scale, even / np.sqrt(energy if energy > 0 else 1.0)], axis=1)
        result.append(replace(recording, table=Table(columns, values)))
    return result


def _camera_features(
    data: _DataSet, key: str, recordings: list[Recording], extractor: "Extractor"
) -> Iterator[np.ndarray]:
    """Yield what the extractor makes of the frames of each recording; a video of v3 holds many episodes in a row."""
    from tpl_lightning.video import VideoReader

    episodes = {f"episode_{int(facts['episode_index']):06d}": facts for facts in data.episodes}
    frames: Iterator[np.ndarray] = iter(())
    now, place = None, 0
    for recording in recordings:
        episode, count = episodes[recording.video_id], len(recording.table.values)
        path = data.file("video_path", episode, prefix=f"videos/{key}", key=key)
        start = round(float(episode.get(f"videos/{key}/from_timestamp") or 0.0) * data.fps)
        if path != now or start < place:
            frames, now, place = iter(VideoReader(path, size=extractor.decode_sizes)), path, 0
        features = extractor.features(islice(frames, start - place, start - place + count))
        if len(features) < 2:
            raise UserError(f"{path}: ends before the frames of {recording.video_id}.")
        place = start + len(features)
        yield features
