"""Embedding a user's own folder of videos with HOG and PCA."""

import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tpl_lightning.data.cache import EmbeddingCacheWriter
from tpl_lightning.data.hog import HogExtractor, HogParams
from tpl_lightning.data.pool import parallel_map
from tpl_lightning.data.video_files import VIDEO_EXTENSIONS, find_videos, read_frames, video_fps
from tpl_lightning.errors import UserError

TEST_SHARE = 0.25


@dataclass(frozen=True)
class _Job:
    path: Path
    params: HogParams
    fps: float | None


@dataclass(frozen=True)
class _Features:
    features: np.ndarray
    fps: float


def embed_folder(
    root: str | Path,
    out: str | Path,
    *,
    dataset: str = "videos",
    extractor: HogExtractor | None = None,
    channels: int = 64,
    fps: float | None = None,
    num_workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Embed the videos ``<root>/<action>/<video>.<ext>`` and write an embedding cache without labels.

    About a quarter of the videos of each action go to the test split, chosen by a hash of their names, the others to
    train. The PCA is fitted on the training split and stored in the cache.

    Args:
        root: folder with one folder per action, at least two videos in each.
        out: the cache file to write.
        dataset: name of the data set in the cache.
        extractor: a fitted extractor to use as it is, so that embeddings are comparable with those of another cache;
            None fits one here.
        channels: principal components to keep; ignored if ``extractor`` is given.
        fps: frames per second to thin videos out to; None keeps all frames.
        num_workers: processes; None for one per core. The result does not depend on it.
        progress: show progress on standard error.

    Returns:
        Path of the cache.

    Raises:
        UserError: if there are no videos, an action has only one, a file cannot be decoded or has fewer than two
            frames, or there are too few frames for the channels.
    """
    videos = find_videos(root)
    _check(videos, Path(root))
    params = extractor.params if extractor is not None else HogParams()
    jobs = [_Job(path, params, fps) for _, path in videos]
    results = parallel_map(_embed, jobs, description="Embedding videos", num_workers=num_workers, progress=progress)
    splits = _splits(videos)
    if extractor is None:
        extractor = HogExtractor(params=params, channels=channels)
        extractor.fit([result.features for result, split in zip(results, splits, strict=True) if split == "train"])
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    source = f"videos: {len(videos)} files in {Path(root).name}"
    with EmbeddingCacheWriter(out, dataset=dataset, extractor=extractor.name, source=source, phase_names={}) as writer:
        for (action, _), name, split, result in zip(videos, _ids(videos), splits, results, strict=True):
            embeddings = extractor.transform(result.features)
            writer.append(
                video_id=name,
                action=action,
                split=split,
                embeddings=embeddings,
                labels=None,
                fps=result.fps,
                progress=None,
            )
        writer.set_extractor_state(*extractor.state())
    return out


def _check(videos: list[tuple[str, Path]], root: Path) -> None:
    if not videos:
        endings = ", ".join(sorted(VIDEO_EXTENSIONS))
        raise UserError(f"Expected videos <action>/<video>.<ext> (ext: {endings}) in {root}, but found none.")
    counts = Counter(action for action, _ in videos)
    lonely = [action for action, count in counts.items() if count < 2]
    if lonely:
        raise UserError(
            f"Expected at least 2 videos of each action in {root}, but {', '.join(lonely)} has 1: "
            "add one or remove the folder."
        )


def _splits(videos: list[tuple[str, Path]]) -> list[str]:
    """Split of each video: per action about a quarter test, and at least two train."""
    by_action: dict[str, list[Path]] = defaultdict(list)
    for action, path in videos:
        by_action[action].append(path)
    test: set[Path] = set()
    for paths in by_action.values():
        # A hash of the name, not its order: names are often sorted by person or camera.
        shuffled = sorted(paths, key=lambda path: (zlib.crc32(path.name.encode()), path.name))
        test.update(shuffled[: min(round(TEST_SHARE * len(paths)), len(paths) - 2)])
    return ["test" if path in test else "train" for _, path in videos]


def _ids(videos: list[tuple[str, Path]]) -> list[str]:
    """Name of each video: the file's without its ending, with action and ending where that is not unique."""
    counts = Counter(path.stem for _, path in videos)
    return [path.stem if counts[path.stem] == 1 else f"{action}/{path.name}" for action, path in videos]


def _embed(job: _Job) -> _Features:
    # Decoding at twice the size that HOG looks at keeps the shrinking cheap for large videos.
    features = HogExtractor(params=job.params).features(read_frames(job.path, size=2 * job.params.size, fps=job.fps))
    if len(features) < 2:
        raise UserError(f"Expected at least 2 frames in {job.path}, but found {len(features)}.")
    own = video_fps(job.path)
    return _Features(features, own if job.fps is None else min(own, job.fps))
