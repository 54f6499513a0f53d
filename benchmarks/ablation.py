"""Measure what each part of the direct fit brings, and the ladder from the paper to TPL+: writes docs/ablation.md.

Usage: python benchmarks/ablation.py NAME=CACHE ... [--repeats 5] [--skip-network NAME,...]

The direct fit draws no random numbers, so what is repeated is the split: rotated folds, each video tested once, as many
as the smallest action allows. Networks are trained with other seeds on the split that a cache stores. One thread; rows
are options of `tpl fit`.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from tpl_lightning.aligners import build_aligner
from tpl_lightning.config import load_config
from tpl_lightning.data import VideoSet, open_cache, split_videos
from tpl_lightning.evaluation import evaluate

OUTPUT = Path(__file__).parents[1] / "docs" / "ablation.md"
METRICS = {
    "train/cbc": ("CBC ↑", 3),
    "test/plp": ("PLP ↑", 3),
    "event_spread": ("key-event spread ↓", 4),
    "warp_error": ("warp error ↓", 4),
}
DIRECT = {
    "all parts": "",
    "without the prior": "direct.smoothness=0 direct.empirical_bayes=0",
    "the prior is not adapted": "direct.empirical_bayes=0",
    "without time derivatives": "direct.derivative=0",
    "levels are not free": "direct.offset_shrinkage=0",
    "levels are free": "direct.offset_shrinkage=1",
    "8 cells": "warp.num_cells=8",
    "32 cells": "warp.num_cells=32",
    "16 components": "data.pca=16",
    "all channels": "data.pca=null",
    "videos are not centred": "data.center=false",
    "coarse warps": "direct.detail=coarse",
    "warps in full detail": "direct.detail=fine",
    "labels choose the prior": "select=labels",
}
NETWORK = {
    rung.stem: str(rung.relative_to(OUTPUT.parents[1]))
    for rung in sorted((OUTPUT.parents[1] / "experiments" / "ablations" / "ladder").glob("*.yaml"))
}


def scores(cache: str, options: str) -> list[float]:
    """Return the metrics of one fit."""
    quiet = ["run.progress=false", "run.wandb=disabled", "select=none"]
    config = load_config([f"data.cache={cache}", *quiet, *options.split()])
    splits = split_videos(VideoSet(open_cache(Path(cache))), config.data)
    with tempfile.TemporaryDirectory() as folder:
        aligner = build_aligner(config, Path(folder))
        aligner.fit(splits.train, splits.val)
        videos = splits.all()
        found = evaluate(aligner.align(videos), videos).overall
    return [found[name] for name in METRICS]


def most_folds(cache: str, wanted: int) -> int:
    """Return so many folds, or as the smallest action of a cache allows."""
    return min(wanted, int(np.unique(open_cache(Path(cache)).action, return_counts=True)[1].min()))


def table(rows: dict[str, str], found: dict[str, list[list[float]]]) -> list[str]:
    """Return a table of means and standard deviations; metrics that a set has no truth for are left out."""
    first = np.array(next(iter(found.values())))
    shown = [i for i in range(len(METRICS)) if not np.isnan(first[:, i]).all()]
    labels = list(METRICS.values())
    lines = ["| | " + " | ".join(labels[i][0] for i in shown) + " | options |", "|---" * (len(shown) + 2) + "|"]
    for name, runs in found.items():
        values = np.array(runs)
        cells = [f"{values[:, i].mean():.{labels[i][1]}f} ± {values[:, i].std():.{labels[i][1]}f}" for i in shown]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {f'`{rows[name]}`' if rows[name] else ''} |")
    return lines


def main() -> None:
    """Run all rows on all sets and write the tables; fits that are in the store are not done again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", metavar="NAME=CACHE")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--skip-network", default="", help="sets without the rows of the network, parted by commas")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--store", type=Path, default=Path("runs/ablation.json"), help="what is measured already")
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = json.loads(options.store.read_text()) if options.store.is_file() else {}
    options.store.parent.mkdir(parents=True, exist_ok=True)
    n = options.repeats
    lines = [
        "# What each part brings",
        "",
        "Made by `python benchmarks/ablation.py NAME=CACHE ...`. Means and standard deviations: of the direct fit, "
        f"which draws no random numbers, over rotated folds, {n} or as the smallest action has videos; of "
        f"networks over {n} seeds on the stored split. Every row is the default with the options named.",
    ]
    for given in options.sets:
        name, _, cache = given.partition("=")
        groups = (
            {"direct": DIRECT} if name in options.skip_network.split(",") else {"direct": DIRECT, "ladder": NETWORK}
        )
        folds = most_folds(cache, n)
        lines += ["", f"## {name}, {folds} folds"]
        for method, rows in groups.items():
            found: dict[str, list[list[float]]] = {}
            for row, extra in rows.items():
                for k in range(folds if method == "direct" else n):
                    varied = f"data.folds={folds} data.fold={k}" if method == "direct" else f"seed={k}"
                    key = f"{name}|{method}|{extra}|{varied}"
                    if key not in done:
                        chosen = "method=direct" if method == "direct" else ""
                        done[key] = scores(cache, f"{chosen} {extra} {varied}")
                        options.store.write_text(json.dumps(done))
                    found.setdefault(row, []).append(done[key])
                print(name, method, row, np.round(np.mean(found[row], axis=0), 4).tolist(), flush=True)
            lines += ["", *table(rows, found)]
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
