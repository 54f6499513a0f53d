"""How well and how fast a run's actions are told apart, and found in long recordings; ``benchmarks/find.md``.

    python benchmarks/find.py RUN recordings=FOLDER    F1 and counts on rendered recordings with the truth beside them
    python benchmarks/find.py RUN interrupted=FOLDER   the same, begun in the first occurrence and stopped in the last
    python benchmarks/find.py RUN uneven=FOLDER        the same, each occurrence at .5 to 2 times its speed
    python benchmarks/find.py RUN speed                 an hour of features, and 15 actions x 100 new videos

RUN is of rendered clips: ``tpl render out=clips.h5``, ``tpl fit data.cache=clips.h5 run.name=clips``; recordings are
those of ``tpl render out=FOLDER recordings=20``.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tpl_lightning.config import DataConfig
from tpl_lightning.data import EmbeddingCache, EmbeddingCacheWriter, VideoSet
from tpl_lightning.labels import Occurrence, read_occurrences
from tpl_lightning.recognition import ActionModel, find_hits
from tpl_lightning.runs import Run
from tpl_lightning.sync import Recording, find_occurrences, find_recordings
from tpl_lightning.video import VideoClock

IOU = 0.5


def true_positives(found: Sequence[Occurrence], truth: Sequence[Occurrence]) -> int:
    """Return how many are found: of the same action, at an intersection over union of .5 or more, each once."""
    free, count = list(truth), 0
    for one in sorted(found, key=lambda one: -one.score):
        overlaps = [(_iou(one, other), number) for number, other in enumerate(free) if other.action == one.action]
        if overlaps and max(overlaps)[0] >= IOU:
            del free[max(overlaps)[1]]
            count += 1
    return count


def _iou(one: Occurrence, other: Occurrence) -> float:
    both = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return max(both, 0.0) / (max(one.end_s, other.end_s) - min(one.start_s, other.start_s))


Changed = tuple[np.ndarray, VideoClock, list[Occurrence]]


@dataclass(frozen=True)
class Shown:
    """What is searched: a recording's embeddings and clock, changed."""

    embeddings: np.ndarray
    clock: VideoClock

    def read(self, run: Run, advance: Callable[[int], None]) -> tuple[np.ndarray, VideoClock]:
        """Return them."""
        return self.embeddings, self.clock


def interrupted(
    embeddings: np.ndarray, clock: VideoClock, truth: list[Occurrence], rng: np.random.Generator
) -> Changed:
    """Leave out .1 to .5 of the first occurrence and of the last one, and all before and behind."""
    lost = rng.uniform(0.1, 0.5, 2)
    first, last = truth[0], truth[-1]
    begin = first.start_s + lost[0] * (first.end_s - first.start_s)
    end = last.end_s - lost[1] * (last.end_s - last.start_s) if len(truth) > 1 else np.inf
    kept = (clock.times_s >= begin) & (clock.times_s < end)
    begin = clock.times_s[kept][0]
    spans = [(max(one.start_s, begin) - begin, min(one.end_s, end) - begin) for one in truth]
    told = [replace(one, start_s=a, end_s=b) for one, (a, b) in zip(truth, spans, strict=True)]
    return embeddings[kept], VideoClock(clock.times_s[kept] - begin), told


def uneven(embeddings: np.ndarray, clock: VideoClock, truth: list[Occurrence], rng: np.random.Generator) -> Changed:
    """Show each occurrence at .5 to 2 times its speed."""
    speed = np.ones(2 * len(truth) + 1)
    speed[1::2] = 2 ** rng.uniform(-1, 1, len(truth))
    end = clock.last_s + 1 / clock.usual_fps
    old = np.array([0.0, *(time for one in truth for time in (one.start_s, one.end_s)), end])
    new = np.concatenate([[0], np.cumsum(np.diff(old) / speed)])
    times = np.arange(int(new[-1] * clock.usual_fps)) / clock.usual_fps
    rows = np.interp(times, new, old)
    shown = np.stack([np.interp(rows, clock.times_s, channel) for channel in embeddings.T], 1).astype(np.float32)
    told = [replace(one, start_s=float(new[2 * k + 1]), end_s=float(new[2 * k + 2])) for k, one in enumerate(truth)]
    return shown, VideoClock(times), told


CHANGES: dict[str, Callable[..., Changed]] = {"interrupted": interrupted, "uneven": uneven}


def quality(run: Run, folder: str, change: str) -> None:
    """Print the pooled F1 and on how many recordings the count is right."""
    rng = np.random.default_rng(0)
    hits = found_in_all = true_in_all = right = 0
    recordings = find_recordings([folder])
    for recording in recordings:
        truth = read_occurrences(recording.path.with_suffix(".csv"))
        searched: Recording | Shown = recording
        if change in CHANGES and truth:
            *shown, truth = CHANGES[change](*recording.read(run, lambda _: None), truth, rng)
            searched = Shown(*shown)
        found = find_occurrences(run, searched)[0]
        correct = true_positives(found, truth)
        print(f"{recording.name}: {len(truth)} there, {len(found)} found, {correct} right", flush=True)
        hits, found_in_all, true_in_all = hits + correct, found_in_all + len(found), true_in_all + len(truth)
        right += len(found) == len(truth)
    print(f"pooled F1 {2 * hits / max(found_in_all + true_in_all, 1):.3f}")
    print(f"count right in {right} of {len(recordings)} recordings")


def long_recording(run: Run, seconds: float, count: int, fps: float = 25.0) -> np.ndarray:
    """Return features of a recording: training videos of the run at even distances, its first frame in between."""
    cache, frames = run.cache, round(seconds * fps)
    train = run.alignment.video_id[run.alignment.split == "train"].tolist()
    rows = [cache.video_id.tolist().index(video) for video in train]
    recording = np.repeat(cache.read(rows[0])[:1], frames, axis=0)
    recording += np.random.default_rng(0).normal(0, 0.02 * recording.std(), recording.shape).astype(np.float32)
    for number in range(count):
        clip = cache.read(rows[number % len(rows)])
        start = round((number + 0.5) * frames / count)
        recording[start : start + len(clip)] = clip[: frames - start]
    return recording


def speed(run: Run) -> None:
    """Print how long an hour takes, twice as long and half as long, and to name new videos."""
    model = run.action_model
    for hours in (0.5, 1, 2):
        recording = long_recording(run, 3600 * hours, round(60 * hours))
        start, busy = time.perf_counter(), time.process_time()
        hits = find_hits(model, recording, 25.0)
        print(
            f"{hours:g} h, {recording.shape[1]} channels, {len(model.actions)} actions, {round(60 * hours)} there: "
            f"{len(hits)} hits in {time.perf_counter() - start:.2f} s ({time.process_time() - busy:.2f} s of one core)"
        )
    naming()


def naming(actions: int = 15, videos: int = 100, channels: int = 64) -> None:
    """Print how long it takes to name new videos of many actions."""
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(actions, 12, channels))

    def clip(action: int) -> np.ndarray:
        length = int(rng.integers(75, 126))
        time_of = np.linspace(0, 1, length) ** rng.uniform(0.7, 1.4) * 11
        curve = np.stack([np.interp(time_of, np.arange(12), shape) for shape in shapes[action].T], 1)
        return (curve + 0.3 * rng.normal(size=curve.shape)).astype(np.float32)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clips.h5"
        with EmbeddingCacheWriter(path, dataset="made", extractor="none", source="made", phase_names={}) as writer:
            for action in range(actions):
                for number in range(8):
                    name = f"a{action:02d}"
                    writer.append(
                        video_id=f"{name}_{number}", action=name, split="train", embeddings=clip(action), fps=25.0
                    )
        train = VideoSet(EmbeddingCache(path))
        start = time.perf_counter()
        model = ActionModel(train, [np.linspace(0, 1, 100)] * len(train), DataConfig())
        print(f"{len(train)} training videos of {actions} actions: {time.perf_counter() - start:.2f} s")
        truth = [number % actions for number in range(videos)]
        new = [clip(action) for action in truth]
        start, busy = time.perf_counter(), time.process_time()
        verdicts = model.verdicts(model.errors(new))
        right = float(np.mean([v.action == f"a{n:02d}" for v, n in zip(verdicts, truth, strict=True)]))
        print(
            f"{actions} actions x {videos} new videos: {time.perf_counter() - start:.2f} s "
            f"({time.process_time() - busy:.2f} s of one core), {right:.0%} right"
        )


def main() -> None:
    """Read the arguments."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    run = Run(sys.argv[1])
    for argument in sys.argv[2:]:
        name, _, folder = argument.partition("=")
        if name in ("recordings", *CHANGES):
            quality(run, folder, name)
        elif argument == "speed":
            speed(run)


if __name__ == "__main__":
    main()
