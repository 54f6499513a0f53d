"""Write the caches of hard cases on which aligners are compared: long recordings, and clips nearly in step.

Usage: python benchmarks/make_sets.py FOLDER [--seed 0] [--in-step CACHE ...] [--share 0.2]

``long.h5``: recordings of 200 to 1000 frames, 40 channels. An action is a chain of 12 to 16 steps, each a smooth random
motion; each video goes through them at a pace of its own, leaves some out and does some twice. Labels are the steps.
``tasks.h5``: recordings of 180 to 520 frames, 76 channels, of people who do a task of 11 steps, each a way of their own
and some steps not at all. Half of the steps go to and fro at a pace that has nothing to do with progress, and slow
changes disturb all channels together, so most of what changes is not shared.
``nearly.h5``: clips of 60 to 200 frames whose progress differs from linear by about .01 of their length.
``NAME_in_step.h5``: the videos of a labelled cache, warped by their labels until a phase begins only ``share`` as far
from where it begins on average: real features, nearly in step.
In those made of random motions, what the videos have in common is a part of what changes: each adds smooth changes of
its own and noise.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator

from tpl_lightning.data import EmbeddingCache, EmbeddingCacheWriter, VideoSet

_FPS = 25.0


def _smooth(times: np.ndarray, channels: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Draw Gaussian processes of variance 1 and correlation length ``scale``, (len(times), channels)."""
    waves = 48  # random Fourier features
    phase = np.outer(times, rng.normal(size=waves) / scale) + rng.uniform(0, 2 * np.pi, waves)
    return np.sqrt(2 / waves) * np.cos(phase) @ rng.normal(size=(waves, channels))


def _frames(own_time: np.ndarray, motion: np.ndarray, rng: np.random.Generator, *, own: float) -> np.ndarray:
    """Add a video's own offset, slow changes and noise to what it shares with others."""
    count, channels = motion.shape
    offset = 2 * rng.normal(size=channels)
    changes = own * _smooth(own_time, channels, 0.1 * own_time[-1], rng)
    return (offset + motion + changes + 0.2 * rng.normal(size=(count, channels))).astype(np.float32)


def _walk(order: Sequence[int], weight: np.ndarray, total: int, *, start: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the step of each frame and its place in the chain, for steps that share about ``total`` frames."""
    count = np.maximum((weight / weight.sum() * total).astype(int), 4)
    labels = np.repeat(order, count)
    return labels, labels + np.concatenate([(np.arange(n) + start) / n for n in count])


def _along(place: np.ndarray, grid: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Return a curve (G, C) on a grid at other places, (len(place), C)."""
    return np.stack([np.interp(place, grid, c) for c in curve.T], 1)


def _save(path: Path, videos: list[dict], names: dict[str, list[str]], source: str) -> None:
    with EmbeddingCacheWriter(
        path, dataset=path.stem, extractor="random-motion", source=source, phase_names=names
    ) as writer:
        for video in videos:
            writer.append(fps=_FPS, **video)


def long_recordings(path: Path, seed: int = 0, *, actions: int = 3, videos: int = 24, channels: int = 40) -> None:
    """Write chains of steps with some left out and some done twice."""
    rng, found, names = np.random.default_rng(seed), [], {}
    for a in range(actions):
        steps = int(rng.integers(12, 17))
        names[f"chain{a}"] = [f"step {k + 1}" for k in range(steps)]
        grid = np.linspace(0, steps, 100 * steps + 1)
        curve = _smooth(grid, channels, 0.35, rng)
        for v in range(videos):
            order = [k for k in range(steps) for _ in range(int(rng.choice([0, 1, 2], p=[0.08, 0.84, 0.08])))]
            weight = np.exp(0.5 * rng.normal(size=len(order)))
            total = int(rng.integers(200, 1001))
            labels, place = _walk(order, weight, total, start=0.5)
            motion = _along(place, grid, curve)
            found.append(
                {
                    "video_id": f"chain{a}_{v:02d}",
                    "action": f"chain{a}",
                    "split": "test" if v % 4 == 3 else "train",
                    "embeddings": _frames(np.linspace(0, steps, len(labels)), motion, rng, own=0.7),
                    "labels": labels.astype(np.int16),
                }
            )
    _save(path, found, names, "synthetic: chained random motions, steps left out and repeated")


def _mixed(times: np.ndarray, sources: int, channels: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Return a few Gaussian processes, each in all channels, (len(times), channels), of variance about 1 in each."""
    return _smooth(times, sources, scale, rng) @ rng.normal(size=(sources, channels)) / np.sqrt(sources)


def long_tasks(
    path: Path, seed: int = 0, *, disturbed: float = 1.0, videos: int = 34, channels: int = 76, steps: int = 11
) -> None:
    """Write recordings of one task; what is not shared is ``disturbed`` times as what is."""
    rng, found = np.random.default_rng(seed), []
    grid = np.linspace(0, steps, 60 * steps + 1)
    curve = _mixed(grid, 12, channels, 0.4, rng)
    to_and_fro = rng.normal(size=(steps, channels)) * (rng.random((steps, 1)) < 0.5)
    usual = np.exp(0.6 * rng.normal(size=steps))
    for v in range(videos):
        done = np.flatnonzero(rng.random(steps) < 0.92)
        weight = usual[done] * np.exp(0.45 * rng.normal(size=len(done)))
        labels, place = _walk(done, weight, int(rng.integers(180, 521)))
        motion = _along(place, grid, curve + disturbed * _mixed(grid, 8, channels, 0.5, rng))
        seconds = np.arange(len(labels)) / _FPS
        beat = np.cos(2 * np.pi * (seconds * rng.uniform(0.8, 1.5) + rng.random()))
        motion += disturbed * (_mixed(seconds, 10, channels, 0.6, rng) + beat[:, None] * to_and_fro[labels])
        found.append(
            {
                "video_id": f"task_{v:02d}",
                "action": "task",
                "split": "test" if v % 4 == 3 else "train",
                "embeddings": _frames(seconds, motion, rng, own=0.0),
                "labels": labels.astype(np.int16),
            }
        )
    names = {"task": [f"step {k + 1}" for k in range(steps)]}
    _save(path, found, names, "synthetic: a task that everyone does a way of their own, steps left out")


def nearly_in_step(path: Path, seed: int = 0, *, actions: int = 4, videos: int = 16, channels: int = 48) -> None:
    """Write clips whose progress is almost linear."""
    rng, found, names = np.random.default_rng(seed), [], {}
    for a in range(actions):
        phases = int(rng.integers(4, 7))
        names[f"move{a}"] = [f"phase {k + 1}" for k in range(phases)]
        grid = np.linspace(0, 1, 400)
        curve = _smooth(grid, channels, 0.12, rng)
        events = np.cumsum(rng.dirichlet(np.full(phases, 8.0)))[:-1]
        for v in range(videos):
            time = np.linspace(0, 1, int(rng.integers(60, 201)))
            bend = _smooth(time, 1, 0.3, rng)[:, 0] * np.sin(np.pi * time)
            progress = np.maximum.accumulate(np.clip(time + 0.012 * bend, 0, 1))
            motion = _along(progress, grid, curve)
            found.append(
                {
                    "video_id": f"move{a}_{v:02d}",
                    "action": f"move{a}",
                    "split": "test" if v % 4 == 3 else "train",
                    "embeddings": _frames(time, motion, rng, own=0.8),
                    "labels": np.searchsorted(events, progress, side="right").astype(np.int16),
                    "progress": progress.astype(np.float32),
                }
            )
    _save(path, found, names, "synthetic: random motion, progress almost linear")


def brought_in_step(path: Path, source: Path, share: float) -> None:
    """Write the videos of a cache with the borders of their phases moved towards their mean over each action."""
    videos = VideoSet(EmbeddingCache(source))
    found, borders = [], []
    for i in range(len(videos)):
        labels = videos.labels(i)
        inner = (np.flatnonzero(np.diff(labels)) + 0.5) / (len(labels) - 1)
        borders.append(np.concatenate([[0], inner, [1]]))
    for action in videos.actions:
        rows = np.flatnonzero(videos.action == action)
        if len({len(borders[i]) for i in rows}) > 1:
            raise SystemExit(f"{source}: expected the videos of {action} to show the same phases, each once.")
        usual = np.mean([borders[i] for i in rows], axis=0)
        for i in rows.tolist():
            embeddings, labels = videos.read(i), videos.labels(i)
            grid = np.linspace(0, 1, len(labels))
            old = PchipInterpolator((1 - share) * usual + share * borders[i], borders[i])(grid).clip(0, 1)
            found.append(
                {
                    "video_id": str(videos.video_id[i]),
                    "action": action,
                    "split": str(videos.split[i]),
                    "embeddings": _along(old, grid, embeddings.astype(np.float32)),
                    "labels": labels[np.round(old * (len(labels) - 1)).astype(int)],
                }
            )
    _save(path, found, videos.cache.phase_names, f"{source.name}, phases moved to {share:g} of their deviation")


def main() -> None:
    """Write the sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--in-step", nargs="*", type=Path, default=[], metavar="CACHE")
    parser.add_argument("--share", type=float, default=0.2)
    given = parser.parse_args()
    folder, made = given.folder, [given.folder / f"{name}.h5" for name in ("long", "tasks", "nearly")]
    folder.mkdir(parents=True, exist_ok=True)
    for make, path in zip((long_recordings, long_tasks, nearly_in_step), made, strict=True):
        make(path, given.seed)
    for source in given.in_step:
        made.append(folder / f"{source.stem}_in_step.h5")
        brought_in_step(made[-1], source, given.share)
    print(", ".join(map(str, made)))


if __name__ == "__main__":
    main()
