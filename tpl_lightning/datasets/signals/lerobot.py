"""LeRobot data sets, v2.0, v2.1 and v3: episodes of tasks as recordings of state and action, and of a camera."""

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpl_lightning.datasets.signals.recordings import Recording, Table, fill_gaps
from tpl_lightning.datasets.signals.tables import open_parquet
from tpl_lightning.errors import UserError
from tpl_lightning.features import Progress

if TYPE_CHECKING:
    from tpl_lightning.features import Extractor


@dataclass(frozen=True)
class _Episode:
    """An episode, by what the metadata hold of it."""

    index: int
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"episode_{self.index:06d}"

    @property
    def task(self) -> str:
        tasks = self.facts.get("tasks") or ["task"]
        return str(tasks[0] if isinstance(tasks, list) else tasks)


@dataclass(frozen=True)
class _DataSet:
    """A data set by its ``meta/info.json``."""

    root: Path
    info: Mapping[str, Any]

    @classmethod
    def of(cls, root: Path) -> "_DataSet":
        path = root / "meta" / "info.json"
        if not path.is_file():
            raise UserError(
                f"{path}: missing; expected the folder of a LeRobot data set, which holds meta/, data/ and videos/."
            )
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            version = str(info["codebase_version"])
            is_known = version.startswith(("v2.", "v3.")) and info["features"] and float(info["fps"]) > 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: expected LeRobot's codebase_version, fps and features, but got {error!r}."
            ) from error
        if not is_known:
            raise UserError(f"{path}: version {version}; LeRobot's v2.0, v2.1 and v3.0 are read, convert the data set.")
        return cls(root, info)

    @property
    def features(self) -> Mapping[str, Mapping[str, Any]]:
        """What is known of each column and video."""
        return self.info["features"]  # type: ignore[no-any-return]

    @property
    def fps(self) -> float:
        """Rows and frames per second."""
        return float(self.info["fps"])

    def episodes(self) -> list[_Episode]:
        """Return the episodes in order."""
        is_v3 = str(self.info["codebase_version"]).startswith("v3.")
        place = self.root / "meta" / ("episodes" if is_v3 else "episodes.jsonl")
        try:
            if is_v3:
                lines = [facts for file in sorted(place.rglob("*.parquet")) for facts in _without_stats(file)]
            else:
                lines = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines() if line.strip()]
            found = [_Episode(int(facts["episode_index"]), facts) for facts in lines]
        except UserError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{place}: expected a line per episode, but it cannot be read ({error}).") from error
        if not found:
            raise UserError(f"{place}: expected what is known of each episode, but found none.")
        return sorted(found, key=lambda episode: episode.index)

    def file(self, template: str, episode: _Episode, *, prefix: str, key: str = "") -> Path:
        """Return the file of an episode as the template of the data set names it."""
        try:
            place = str(self.info[template]).format(
                episode_index=episode.index,
                episode_chunk=episode.index // int(self.info.get("chunks_size") or 1000),
                chunk_index=int(episode.facts.get(f"{prefix}/chunk_index", 0)),
                file_index=int(episode.facts.get(f"{prefix}/file_index", 0)),
                video_key=key,
            )
        except (KeyError, IndexError, ValueError) as error:
            raise UserError(
                f"{self.root / 'meta' / 'info.json'}: cannot make a path of {template} ({error!r})."
            ) from error
        if not (self.root / place).is_file():
            raise UserError(f"{self.root / place}: missing, but the metadata name it; fetch the data set again.")
        return self.root / place


def _without_stats(path: Path) -> list[dict[str, Any]]:
    table = open_parquet(path)
    wanted = [name for name in table.column_names if not name.startswith("stats/")]
    return table.select(wanted).to_pylist()  # type: ignore[no-any-return]


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
    keys = [key for key, feature in data.features.items() if _is_signal(key, feature)]
    if not keys:
        raise UserError(
            f"{root / 'meta' / 'info.json'}: expected observation.state or action among the features, but found "
            f"{', '.join(data.features)}."
        )
    result = []
    path, columns = None, {}
    for episode in data.episodes():
        if (own := data.file("data_path", episode, prefix="data")) != path:  # v3 has many in one file
            path, columns = own, _columns(own, [*keys, "episode_index"])
        rows = np.flatnonzero(np.asarray(columns["episode_index"]) == episode.index)
        if len(rows) < 2:
            raise UserError(f"{path}: expected at least 2 rows of episode {episode.index}, but found {len(rows)}.")
        channels = [np.array([columns[key][row] for row in rows], np.float64).reshape(len(rows), -1) for key in keys]
        widths = [own.shape[1] for own in channels]
        names = [n for key, width in zip(keys, widths, strict=True) for n in _names(key, data.features[key], width)]
        values = fill_gaps(np.concatenate(channels, axis=1), names, own, gaps=gaps)
        result.append(Recording(episode.name, episode.task, own, Table(tuple(names), values), data.fps))
    return _of_common_tasks(result, root)


def _of_common_tasks(recordings: list[Recording], root: Path) -> list[Recording]:
    """Leave out episodes that are the only one of their task."""
    tasks = [recording.action for recording in recordings]
    alone = [task for task in tasks if tasks.count(task) == 1]
    if len(alone) == len(tasks):
        raise UserError(f"{root}: expected at least 2 episodes of a task, but found {len(tasks)} of as many tasks.")
    if alone:
        warnings.warn(f"{root}: left out, the only episode of its task: {', '.join(alone[:3])}", stacklevel=2)
    return [recording for recording in recordings if recording.action not in alone]


def _is_signal(key: str, feature: Mapping[str, Any]) -> bool:
    if not str(feature.get("dtype", "")).startswith(("float", "int")):
        return False
    return key.split(".")[0] == "action" or (key.startswith("observation.") and "state" in key.split(".")[1])


def _names(key: str, feature: Mapping[str, Any], width: int) -> list[str]:
    """Return the names of a feature's channels, numbers where it has none; v2 may hold them in a dictionary."""
    names = feature.get("names")
    if isinstance(names, dict):
        names = next((value for value in names.values() if isinstance(value, list)), None)
    flat = [str(name) for name in names] if isinstance(names, list) else []
    flat = flat if len(set(flat)) == width else [str(number) for number in range(width)]
    return [f"{key}.{name}" for name in flat]


def _columns(path: Path, wanted: list[str]) -> dict[str, Any]:
    table = open_parquet(path)
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise UserError(f"{path}: expected the columns {', '.join(wanted)}, but {', '.join(missing)} is missing.")
    return table.select(wanted).to_pydict()  # type: ignore[no-any-return]


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
    signals = [recording.table.values for recording in recordings]
    wanted = {r.video_id: len(own) for r, own in zip(recordings, signals, strict=True)}
    with Progress(f"Embedding {key}", len(recordings), enabled=progress) as bar:
        raw = []
        for features in _camera_features(data, key, wanted, extractor):
            raw.append(features)
            bar.advance(frames=len(features))
    if not extractor.is_fitted:
        extractor.fit(raw)
    views = [extractor.transform(features).astype(np.float64) for features in raw]
    energy = np.mean([own.var(axis=0).sum() for own in views])
    spread = np.mean([own.var(axis=0) for own in signals], axis=0)
    signal_scale = np.sqrt(np.where(spread > 0, spread, 1.0) * max(int((spread > 0).sum()), 1))
    result = []
    for recording, own, seen in zip(recordings, signals, views, strict=True):
        at = np.linspace(0, len(seen) - 1, len(own))
        even = np.stack([np.interp(at, np.arange(len(seen)), channel) for channel in seen.T], axis=1)
        columns = (*recording.table.columns, *(f"{key}.{number}" for number in range(even.shape[1])))
        values = np.concatenate([own / signal_scale, even / np.sqrt(energy if energy > 0 else 1.0)], axis=1)
        result.append(replace(recording, table=Table(columns, values)))
    return result


def _camera_features(
    data: _DataSet, key: str, wanted: Mapping[str, int], extractor: "Extractor"
) -> Iterator[np.ndarray]:
    """Yield what the extractor makes of the frames of each episode that is wanted, of so many rows.

    A video of v3 holds many episodes in a row.
    """
    from tpl_lightning.video import VideoReader

    frames: Iterator[np.ndarray] = iter(())
    now, place = None, 0
    for episode in data.episodes():
        if episode.name not in wanted:
            continue
        path = data.file("video_path", episode, prefix=f"videos/{key}", key=key)
        start = round(float(episode.facts.get(f"videos/{key}/from_timestamp") or 0.0) * data.fps)
        if path != now or start < place:
            frames, now, place = iter(VideoReader(path, size=extractor.decode_size)), path, 0
        features = extractor.features(islice(frames, start - place, start - place + wanted[episode.name]))
        if len(features) < 2:
            raise UserError(f"{path}: ends before the frames of episode {episode.index}.")
        place = start + len(features)
        yield features
