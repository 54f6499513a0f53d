"""LeRobot data sets, v2.0, v2.1 and v3: episodes of tasks as recordings of state and action, and of a camera."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpl_lightning.datasets.signals.recordings import Recording, fill_gaps, ordered
from tpl_lightning.datasets.signals.tables import read_parquet
from tpl_lightning.errors import UserError
from tpl_lightning.features import Progress

if TYPE_CHECKING:
    from tpl_lightning.features import Extractor

__all__ = ["read_lerobot", "with_camera"]


@dataclass(frozen=True)
class _Episode:
    index: int
    task: str
    data: Path
    facts: Mapping[str, Any]
    """What the metadata hold of it."""


def read_lerobot(root: Path, *, gaps: str) -> list[Recording]:
    """Read the state and action columns of each episode; the action is the task, in words.

    Args:
        root: The data set, with ``meta/info.json``.
        gaps: ``interpolate`` or ``refuse``.

    Raises:
        UserError: If a file is missing, or of another layout or version.
    """
    info = _info(root)
    keys = [key for key, feature in info["features"].items() if _is_signal(key, feature)]
    if not keys:
        raise UserError(
            f"{root / 'meta' / 'info.json'}: expected observation.state or action among the features, but found "
            f"{', '.join(info['features'])}."
        )
    result = []
    tables: dict[Path, dict[str, Any]] = {}
    for episode in _episodes(root, info):
        if episode.data not in tables:
            tables = {episode.data: _table(episode.data, [*keys, "episode_index", "timestamp"])}
        table = tables[episode.data]
        rows = np.flatnonzero(np.asarray(table["episode_index"]) == episode.index)
        if len(rows) < 2:
            raise UserError(
                f"{episode.data}: expected at least 2 rows of episode {episode.index}, but found {len(rows)}."
            )
        channels, names = [], []
        for key in keys:
            values = np.array([table[key][row] for row in rows], dtype=np.float64).reshape(len(rows), -1)
            channels.append(values)
            names += _names(key, info["features"][key], values.shape[1])
        values = fill_gaps(np.concatenate(channels, axis=1), names, episode.data, gaps=gaps)
        name = f"episode_{episode.index:06d}"
        fps = float(info["fps"])
        result.append(Recording(name, episode.task, episode.data, values, tuple(names), fps=fps))
    return _of_common_tasks(ordered(result), root)


def _of_common_tasks(recordings: list[Recording], root: Path) -> list[Recording]:
    """Leave out episodes that are the only one of their task."""
    tasks = [recording.action for recording in recordings]
    kept = [recording for recording in recordings if tasks.count(recording.action) > 1]
    if not kept:
        raise UserError(f"{root}: expected at least 2 episodes of a task, but found {len(tasks)} of as many tasks.")
    if len(kept) < len(tasks):
        import warnings

        alone = [recording.action for recording in recordings if recording not in kept]
        warnings.warn(f"{root}: left out, the only episode of its task: {', '.join(alone[:3])}", stacklevel=2)
    return kept


def _info(root: Path) -> dict[str, Any]:
    path = root / "meta" / "info.json"
    if not path.is_file():
        raise UserError(
            f"{path}: missing; expected the folder of a LeRobot data set, which holds meta/, data/ and videos/."
        )
    try:
        info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = str(info["codebase_version"])
        if not (version.startswith(("v2.", "v3.")) and info["features"] and float(info["fps"]) > 0):
            raise UserError(f"{path}: version {version}; LeRobot's v2.0, v2.1 and v3.0 are read, convert the data set.")
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: expected LeRobot's codebase_version, fps and features, but got {error!r}.") from error
    return info


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


def _table(path: Path, columns: list[str]) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: missing, but the metadata name it; fetch the data set again.")
    table = read_parquet(path)
    missing = [name for name in columns if name not in table and name != "timestamp"]
    if missing:
        raise UserError(f"{path}: expected the columns {', '.join(columns)}, but {', '.join(missing)} is missing.")
    return table


def _episodes(root: Path, info: Mapping[str, Any]) -> Iterator[_Episode]:
    is_v3 = str(info["codebase_version"]).startswith("v3.")
    for facts in _facts_v3(root) if is_v3 else _json_lines(root / "meta" / "episodes.jsonl"):
        index = int(facts["episode_index"])
        tasks = facts.get("tasks") or ["task"]
        path = _path(root, info, "data_path", index, facts, prefix="data")
        yield _Episode(index, str(tasks[0] if isinstance(tasks, list) else tasks), path, facts)


def _path(
    root: Path,
    info: Mapping[str, Any],
    template: str,
    index: int,
    facts: Mapping[str, Any],
    *,
    prefix: str,
    key: str = "",
) -> Path:
    """Return the file of an episode as the template of the data set names it."""
    try:
        place = str(info[template]).format(
            episode_index=index,
            episode_chunk=index // int(info.get("chunks_size") or 1000),
            chunk_index=int(facts.get(f"{prefix}/chunk_index", 0)),
            file_index=int(facts.get(f"{prefix}/file_index", 0)),
            video_key=key,
        )
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"{root / 'meta' / 'info.json'}: cannot make a path of {template} ({error!r}).") from error
    return root / place


def _facts_v3(root: Path) -> list[dict[str, Any]]:
    files = sorted((root / "meta" / "episodes").rglob("*.parquet"))
    if not files:
        raise UserError(f"{root / 'meta' / 'episodes'}: expected Parquet files of the episodes, but found none.")
    result = []
    for file in files:
        table = read_parquet(file)
        names = [name for name in table if not name.startswith("stats/")]
        result += [dict(zip(names, row, strict=True)) for row in zip(*(table[name] for name in names), strict=True)]
    return sorted(result, key=lambda facts: int(facts["episode_index"]))


def _json_lines(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return sorted(
            (json.loads(line) for line in lines if line.strip()), key=lambda facts: int(facts["episode_index"])
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: expected a line per episode, but it cannot be read ({error}).") from error


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
    info = _info(root)
    cameras = [key for key, feature in info["features"].items() if feature.get("dtype") == "video"]
    key = next((name for name in cameras if camera in (name, name.rpartition(".")[2])), None)
    if key is None:
        raise UserError(f"camera={camera}: {root} has no such video; there are: {', '.join(cameras) or 'none'}.")
    wanted = {recording.video_id for recording in recordings}
    episodes = [e for e in _episodes(root, info) if f"episode_{e.index:06d}" in wanted]
    lengths = [len(recording.values) for recording in recordings]
    raw = _features(root, info, key, episodes, lengths, extractor, progress=progress)
    if not extractor.is_fitted:
        extractor.fit(raw)
    seen = [extractor.transform(features).astype(np.float64) for features in raw]
    energy = np.mean([views.var(axis=0).sum() for views in seen])
    energy = energy if energy > 0 else 1.0
    result = []
    spread = np.mean([r.values.var(axis=0) for r in recordings], axis=0)
    flat = np.where(spread > 0, spread, 1.0)
    for recording, views in zip(recordings, seen, strict=True):
        count = len(recording.values)
        at = np.linspace(0, len(views) - 1, count)
        even = np.stack([np.interp(at, np.arange(len(views)), channel) for channel in views.T], axis=1)
        signals = recording.values / np.sqrt(flat * max(int((spread > 0).sum()), 1))
        columns = (*recording.columns, *(f"{key}.{number}" for number in range(even.shape[1])))
        values = np.concatenate([signals, even / np.sqrt(energy)], axis=1)
        result.append(replace(recording, values=values, columns=columns))
    return result


def _features(
    root: Path,
    info: Mapping[str, Any],
    key: str,
    episodes: list[_Episode],
    lengths: list[int],
    extractor: "Extractor",
    *,
    progress: bool,
) -> list[np.ndarray]:
    """Return what the extractor makes of each episode's frames; a video of v3 holds many episodes in a row."""
    from tpl_lightning.video import VideoReader

    result = []
    frames: Iterator[np.ndarray] = iter(())
    now, place = None, 0
    with Progress(f"Embedding {key}", len(episodes), enabled=progress) as bar:
        for episode, count in zip(episodes, lengths, strict=True):
            path = _path(root, info, "video_path", episode.index, episode.facts, prefix=f"videos/{key}", key=key)
            start = round(float(episode.facts.get(f"videos/{key}/from_timestamp") or 0.0) * float(info["fps"]))
            if not path.is_file():
                raise UserError(f"{path}: missing, but the metadata name it; fetch the data set with its videos.")
            if path != now or start < place:
                frames, now, place = iter(VideoReader(path, size=extractor.decode_size)), path, 0
            for _ in islice(frames, start - place):
                pass
            features = extractor.features(islice(frames, count))
            if len(features) < 2:
                raise UserError(f"{path}: ends before the frames of episode {episode.index}.")
            place = start + len(features)
            result.append(features)
            bar.advance(frames=len(features))
    return result
