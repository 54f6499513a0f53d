"""Time the serving of a large embedding cache, and train on it: writes benchmarks/data.md.

Usage: python benchmarks/data.py [--videos 100000] [--folder FOLDER] [--steps 40]

The cache holds videos of 20 to 600 frames with 128 channels in float16 (100,000 videos: 8 GB); it is made in FOLDER
(default: the temporary folder) and deleted at the end, fewer videos if the disk is too full. Speeds are in MB of the
file per second, in one run: from memory, after one reading of the file, and from the disk, after the system was told to
forget the file. They depend on the machine, their ratios less so.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from lightning import Callback

from tpl_lightning.config import Config, config_to_dict, load_config
from tpl_lightning.data import (
    EmbeddingCacheWriter,
    EmbeddingDataModule,
    Preprocessor,
    VideoSet,
    open_cache,
    split_videos,
)
from tpl_lightning.runs import CHECKED_FRAMES

FOLDER = Path(__file__).parent
CHANNELS, ACTIONS, SHARDS = 128, 15, 4
PLAIN = "plain h5py, video by video in order"
BYTES = 2 * CHANNELS  # of a frame
BATCHES = 150  # that are timed
REPEATS = 3  # of each speed; the median counts
WORKERS = (0, 2)


def make_caches(folder: Path, count: int) -> None:
    """Write part-0.h5 ... with ``count`` videos in all: noise around smooth curves, three phases."""
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=0.3, size=(200_000, CHANNELS)).astype(np.float16)
    curves = np.cumsum(rng.normal(size=(ACTIONS, 601, CHANNELS)), axis=1).astype(np.float16) / np.float16(16)
    names = {f"action_{a:02d}": ["begin", "middle", "end"] for a in range(ACTIONS)}
    for shard in range(SHARDS):
        about: dict[str, Any] = {"dataset": "large", "extractor": "none", "source": "noise", "phase_names": names}
        with EmbeddingCacheWriter(folder / f"part-{shard}.h5", **about) as writer:
            for number in range(shard * count // SHARDS, (shard + 1) * count // SHARDS):
                length, action = int(rng.integers(20, 601)), number % ACTIONS
                start = int(rng.integers(len(noise) - length))
                rows = np.linspace(0, 600, length).astype(int)
                writer.append(
                    video_id=f"v{number:06d}",
                    action=f"action_{action:02d}",
                    split="test" if number % 100 == 0 else "train",
                    embeddings=curves[action][rows] + noise[start : start + length],
                    labels=rows * 3 // 601,
                )


def timed(work: Any) -> tuple[float, Any]:
    """Return the seconds of a call, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def read_blocks(files: list[Path], rows: int = 50_000) -> int:
    """Read all embeddings in order, in blocks of 12.8 MB, and return the bytes."""
    total = 0
    for path in files:
        with h5py.File(path, "r") as file:
            embeddings = file["embeddings"]
            total += sum(embeddings[i : i + rows].nbytes for i in range(0, len(embeddings), rows))
    return total


def read_videos(files: list[Path]) -> int:
    """Read all embeddings in order, video by video, and return the bytes."""
    total = 0
    for path in files:
        with h5py.File(path, "r") as file:
            embeddings, offsets = file["embeddings"], file["offsets"][:]
            total += sum(embeddings[a:b].nbytes for a, b in pairwise(offsets))
    return total


def forget(files: list[Path]) -> None:
    """Have the system drop what it keeps of the files in memory."""
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def serving_speed(data: EmbeddingDataModule) -> float:
    """Take shuffled batches, the first untimed, and return the MB/s of their frames in the file."""
    batches = iter(data.train_dataloader())
    next(batches)
    seconds, total = timed(lambda: sum(int(b.lengths.sum()) * BYTES for b in islice(batches, BATCHES)))
    return total / seconds / 1e6


def data_module(config: Config) -> EmbeddingDataModule:
    """Return the data module of a configuration, as `tpl fit` builds it."""
    cache = open_cache(str(config.data.cache))
    cache.validate(most_frames=CHECKED_FRAMES)
    splits = split_videos(VideoSet(cache), config.data)
    preprocessor = Preprocessor.fit(splits.train, config.data)
    return EmbeddingDataModule(splits, preprocessor, splits.train.actions, config.data, config.seed)


def resident_mib() -> float:
    """Return the resident memory of this process and of its workers, in MiB; pages that they share count twice."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    total = 0
    for pid in ["self", *children]:
        line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
        total += int(line.split()[1])
    return total / 1024


class Watch(Callback):
    """Measures memory after each step, and the time between steps."""

    def __init__(self) -> None:
        """Start with nothing measured."""
        self.memory: list[float] = []
        self.waits: list[float] = []
        self.steps: list[float] = []
        self.last: float | None = None

    def on_train_batch_start(self, *_: Any) -> None:
        """End the wait."""
        self.begin = time.perf_counter()
        if self.last is not None:
            self.waits.append(self.begin - self.last)

    def on_train_batch_end(self, *_: Any) -> None:
        """End the step."""
        self.memory.append(resident_mib())
        self.last = time.perf_counter()
        self.steps.append(self.last - self.begin)


def train_some(config: Config, steps: int) -> dict[str, float]:
    """Train TPL for some steps and return memory and waiting."""
    from lightning import Trainer, seed_everything

    from tpl_lightning.aligners import dataset_metadata
    from tpl_lightning.lit import TPLModule

    seed_everything(0, verbose=False)
    data, watch = data_module(config), Watch()
    metadata = dataset_metadata(data.splits.train, data.preprocessor.num_channels)
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
    )
    trainer.fit(TPLModule(config_to_dict(config), metadata), datamodule=data)
    waits, works = sum(watch.waits[2:]), sum(watch.steps[2:])
    return {
        "first": watch.memory[min(9, steps - 1)],
        "last": watch.memory[-1],
        "peak": max(watch.memory),
        "step": float(np.mean(watch.steps[2:])),
        "wait": waits / (waits + works),
    }


def speeds(files: list[Path], base: Config, before: Callable[[list[Path]], object]) -> dict[str, float]:
    """Return the MB/s of every way to read; ``before`` is done to the files before each."""
    found: dict[str, list[float]] = {}
    for _ in range(REPEATS):
        before(files)
        seconds, total = timed(lambda: read_videos(files))
        found.setdefault(PLAIN, []).append(total / seconds / 1e6)
        for workers in WORKERS:
            data = data_module(replace(base, data=replace(base.data, num_workers=workers)))
            before(files)
            found.setdefault(f"shuffled batches of 64; {workers} workers", []).append(serving_speed(data))
    return {name: float(np.median(values)) for name, values in found.items()}


def measure(folder: Path, count: int, steps: int) -> list[str]:
    """Return the lines of the report."""
    pattern = str(folder / "part-*.h5")
    files = sorted(folder.glob("part-*.h5"))
    opening, cache = timed(lambda: open_cache(pattern))
    base = load_config(["method=tpl", f"data.cache={pattern}", "data.pca=null"])
    memory, disk = (speeds(files, base, before) for before in (read_blocks, forget))
    command = [sys.executable, __file__, "--train", pattern, "--steps", str(steps)]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[-1])
    return [
        f"{count} videos of 20 to 600 frames, {CHANNELS} channels, float16, in {len(files)} files: "
        f"{int(cache.offsets[-1])} frames, {sum(f.stat().st_size for f in files) / 1e9:.2f} GB. "
        f"{os.cpu_count()} CPU cores, {platform.machine()}, torch {torch.__version__}, h5py {h5py.__version__}.",
        "",
        f"Opening all files: {opening:.2f} s.",
        "",
        "| MB/s (of the first line's) | from the disk | from memory |",
        "|---|---|---|",
        *[
            f"| {name} | " + " | ".join(f"{x[name]:.0f} ({x[name] / x[PLAIN]:.2f})" for x in (disk, memory)) + " |"
            for name in disk
        ],
        "",
        f"Training TPL (batches of 64, 2 workers, {steps} steps of {found['step']:.2f} s):",
        "",
        "| resident memory after 10 steps | after all | largest | data wait, share of the time |",
        "|---|---|---|---|",
        f"| {found['first']:.0f} MiB | {found['last']:.0f} MiB | {found['peak']:.0f} MiB | {found['wait']:.1%} |",
    ]


def main() -> None:
    """Make the caches, measure, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to make the caches")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        config = load_config(["method=tpl", f"data.cache={options.train}", "data.pca=null", "data.num_workers=2"])
        print(json.dumps(train_some(config, options.steps)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        room = shutil.disk_usage(name).free * 0.8 / (310 * BYTES)
        count = min(options.videos, int(room))
        print(f"Making {count} videos ...", flush=True)
        make_caches(Path(name), count)
        lines = measure(Path(name), count, options.steps)
    text = "\n".join(["# Large caches", "", "Made by `make bench-data`.", "", *lines]) + "\n"
    (FOLDER / "data.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
