"""Time the fit of every method at the size of Penn Action: writes benchmarks/fit.md.

Usage: python benchmarks/fit.py [--videos 1000] [--dtw-videos 1000] [--tpl-epochs 2] [--methods direct,dba] ...

The cache, made in the temporary folder and deleted at the end, holds smooth random motions of 15 actions, 20 to 600
frames with 768 channels, in float16; all videos are training videos. All methods see the same principal components
(`data.pca`) and run on as many threads, one after the other, each in a process of its own. What is timed is the fit of
`tpl fit`: reading, preprocessing and storing are part of it; starting Python is not, nor what a first short fit of a
few videos imports and compiles.

Two fits take long and are linear in what they repeat, so they can be timed on a part of it; the table says so then:
DBA and SoftDBA on fewer videos (--dtw-videos, as many of each action), TPL on fewer epochs (--tpl-epochs; 0: all).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from make_sets import _frames, _smooth

from tpl_lightning.aligners import with_epochs
from tpl_lightning.config import Config, load_config
from tpl_lightning.data import EmbeddingCacheWriter, VideoSet, open_cache, split_videos

FOLDER = Path(__file__).parent
CHANNELS, ACTIONS, PHASES, SHORTEST, LONGEST = 768, 15, 5, 20, 600
METHODS = {"direct": "direct", "tpl_plus": "TPL+", "tpl": "TPL", "dba": "DBA", "softdba": "SoftDBA"}
DTW = ("dba", "softdba")
TARGETS = {"direct": {"dba": 50, "softdba": 20}, "tpl_plus": {"dba": 10, "softdba": 5}}  # times as fast


def make_cache(path: Path, count: int) -> None:
    """Write ``count`` training videos, each going through the motion of its action at a pace of its own."""
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 1, LONGEST)
    curves = [_smooth(grid, CHANNELS, 0.12, rng) for _ in range(ACTIONS)]
    about: dict[str, Any] = {"dataset": "fit", "extractor": "random-motion", "source": "synthetic: random motion"}
    names = {f"action_{a:02d}": [f"phase {k + 1}" for k in range(PHASES)] for a in range(ACTIONS)}
    with EmbeddingCacheWriter(path, phase_names=names, **about) as writer:
        for number in range(count):
            clock = np.linspace(0, 1, int(rng.integers(SHORTEST, LONGEST + 1)))
            pace = np.exp(0.6 * _smooth(clock, 1, 0.25, rng)[:, 0])
            progress = np.append(0, np.cumsum(pace[1:]))
            progress /= progress[-1]
            position = progress * (LONGEST - 1)
            low = np.minimum(position.astype(int), LONGEST - 2)
            share, curve = (position - low)[:, None], curves[number % ACTIONS]
            writer.append(
                video_id=f"v{number:05d}",
                action=f"action_{number % ACTIONS:02d}",
                split="train",
                embeddings=_frames(clock, (1 - share) * curve[low] + share * curve[low + 1], rng, own=0.7),
                labels=np.minimum(progress * PHASES, PHASES - 1).astype(np.int16),
            )


def fit(config: Config, train: VideoSet) -> np.ndarray:
    """Return the seconds of a fit, and those that processors worked on it."""
    from tpl_lightning.aligners import build_aligner

    with tempfile.TemporaryDirectory() as folder:
        aligner = build_aligner(config, Path(folder))
        start = np.array([time.perf_counter(), time.process_time()])
        aligner.fit(train)
        return np.array([time.perf_counter(), time.process_time()]) - start


def first_videos(train: VideoSet, count: int) -> VideoSet:
    """Return so many videos; actions alternate in the cache."""
    return train.select(np.arange(len(train)) < count)


def time_method(method: str, path: Path, dtw_videos: int, tpl_epochs: int) -> dict[str, Any]:
    """Return the seconds of the whole fit, and on what part of it they rest; empty: on all."""

    def result(seconds: np.ndarray, part: str = "") -> dict[str, Any]:
        return {"seconds": float(seconds[0]), "cpu": float(seconds[1]), "part": part}

    settings = [f"method={method}", "refine=false", f"data.cache={path}", "run.progress=false", "run.wandb=disabled"]
    settings.append("select=none")  # the others see no labels either
    config = load_config(settings)
    train = split_videos(VideoSet(open_cache(path)), config.data).train
    config = with_epochs(config, len(train))
    short = replace(
        config,
        dtw=replace(config.dtw, max_iter=1),
        train=replace(config.train, max_epochs=1),
    )
    fit(short, first_videos(train, 2 * ACTIONS))  # imports and compiles what the method needs
    if method in DTW:
        part = first_videos(train, dtw_videos)
        seconds = fit(config, part) * len(train) / len(part)
        return result(seconds, f"{len(part)} videos" if len(part) < len(train) else "")
    epochs = int(config.train.max_epochs or 0)
    if method != "tpl" or not 0 < tpl_epochs < epochs - 1:
        return result(fit(config, train))
    few = (1, 1 + tpl_epochs)
    short, long = (fit(replace(config, train=replace(config.train, max_epochs=n)), train) for n in few)
    each = (long - short) / tpl_epochs
    return result(short + each * (epochs - 1), f"epochs of {each[0]:.1f} s, {tpl_epochs} of {epochs}")


def run_method(method: str, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Time a method in a process of its own; ``seconds`` is None where it ran out of time."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
    environment = {**os.environ, "WANDB_MODE": "disabled", **dict.fromkeys(names, str(options.threads))}
    command = [sys.executable, __file__, "--fit", method, "--cache", str(path)]
    command += ["--dtw-videos", str(options.dtw_videos), "--tpl-epochs", str(options.tpl_epochs)]
    limit = 60 * options.minutes
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"seconds": None, "cpu": None, "part": f"stopped after {options.minutes:g} min"}
    return json.loads(done.stdout.splitlines()[-1])


def table(found: dict[str, dict[str, Any]]) -> list[str]:
    """Return the rows: seconds, and how many times those of the methods without DTW they are."""
    ours = [m for m in TARGETS if found.get(m, {}).get("seconds")]
    heads = ["method", "seconds of the fit", "processor seconds", "timed on"]
    heads += [f"times {METHODS[m]}'s (of processors)" for m in ours]
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for method, row in found.items():
        done = row["seconds"] is not None
        cells = [METHODS[method], *(f"{row[key]:.1f}" if done else "–" for key in ("seconds", "cpu"))]
        cells.append(row["part"] or "all of it")
        for mine in ours:
            wanted = TARGETS[mine].get(method)
            ratios = [row[key] / found[mine][key] for key in ("seconds", "cpu") if done]
            cells.append(f"{ratios[0]:.3g} ({ratios[1]:.3g})" if done else "–")
            cells[-1] += f"; wanted: {wanted}" if wanted else ""
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def report(found: dict[str, dict[str, Any]], path: Path, options: argparse.Namespace) -> str:
    """Return the document."""
    import torch
    import tslearn

    cache, config = open_cache(path), load_config([])
    lines = [
        "# Fits at the size of Penn Action",
        "",
        "Made by `make bench-fit`.",
        "",
        f"{len(cache)} training videos of {ACTIONS} actions, {SHORTEST} to {LONGEST} frames ({int(cache.offsets[-1])} "
        f"in all) of {CHANNELS} channels: synthetic smooth motion, float16. All methods see the same "
        f"{config.data.pca} principal components. One run; threads: {options.threads}, of {os.cpu_count()} CPU cores, "
        f"{platform.machine()}, load {os.getloadavg()[0]:.1f}; torch {torch.__version__}, tslearn "
        f"{tslearn.__version__}.",
        "",
        *table(found),
        "",
        "Seconds depend on what else runs on the machine, those that processors worked less so. "
        f"TPL+ is the whole fit without refinement. DBA and SoftDBA (gamma "
        f"{config.dtw.gamma:g}) do at most {config.dtw.max_iter} iterations, fewer where they settle before.",
    ]
    if any(found[m]["part"].endswith("videos") for m in DTW if m in found):
        lines.append(
            f"Their rows were timed on {options.dtw_videos} of the videos, of all actions, and scaled by "
            f"{len(cache)}/{options.dtw_videos}: an iteration is linear in the videos of an action."
        )
    if found.get("tpl", {}).get("part", "").startswith("epochs"):
        lines.append(
            f"TPL was trained for 1 and for {1 + options.tpl_epochs} of its epochs; the "
            "others are taken to last as the difference."
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the cache, time the methods, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--dtw-videos", type=int, help="videos that DBA and SoftDBA are timed on (default: all)")
    parser.add_argument("--tpl-epochs", type=int, default=2, help="epochs that TPL is timed on; 0: all")
    parser.add_argument("--methods", default=",".join(METHODS), help="of these, parted by commas (default: all)")
    parser.add_argument("--threads", type=int, default=1, help="more wait for one another where other work runs")
    parser.add_argument("--minutes", type=float, default=120, help="most that a method may take")
    parser.add_argument("--output", type=Path, default=FOLDER / "fit.md")
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        print(json.dumps(time_method(options.fit, options.cache, options.dtw_videos, options.tpl_epochs)))
        return
    methods = options.methods.split(",")
    if unknown := [m for m in methods if m not in METHODS]:
        parser.error(f"--methods: {unknown[0]!r} is none of {', '.join(METHODS)}")
    options.dtw_videos = min(options.dtw_videos or options.videos, options.videos)
    if options.dtw_videos < 2 * ACTIONS:
        parser.error(f"--videos and --dtw-videos: expected at least {2 * ACTIONS}, two of each action")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "fit.h5"
        print(f"Making {options.videos} videos ...", flush=True)
        make_cache(path, options.videos)
        found = {}
        for method in methods:
            found[method] = run_method(method, path, options)
            print(f"{method}: {found[method]}", flush=True)
        text = report(found, path, options)
    options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
