"""Score methods on rotated folds of several sets: writes docs/folds.md, the main table of docs/results.md.

Usage: python benchmarks/folds.py NAME=CACHE ... [--folds 4] [--seeds 3] [--rows TEXT]

Each video is tested once. Mean over the folds of each seed, then mean and standard deviation over the seeds; methods
that draw no random numbers have one. One thread. Fits that are in the store are not done again.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from ablation import METRICS, scores

OUTPUT = Path(__file__).parents[1] / "docs" / "folds.md"
LADDER = "experiments/ablations/ladder"
ROWS = {
    "linear rescaling": "method=linear",
    "DBA": "method=dba",
    "SoftDBA, gamma 1": "method=softdba",
    "TPL, the paper as written": f"{LADDER}/01_paper.yaml",
    "D-MTAE, D = 1, path aligner": f"{LADDER}/05_path.yaml",
    "TPL+ untrained, one pass": f"{LADDER}/09_untrained.yaml",
    "TPL+ trained, one pass": f"{LADDER}/08_discriminant.yaml",
    "TPL+ trained, refined": f"{LADDER}/10_refined.yaml",
    "direct fit": "method=direct",
    "direct fit, prior chosen by labels": "method=direct select=labels",
}
RANDOM = ("TPL, ", "TPL+ trained", "D-MTAE")  # rows whose names begin so draw random numbers that count


def cell(runs: np.ndarray, digits: tuple[int, ...]) -> str:
    """Return the means, and the deviations over seeds (seeds, folds, metrics) where there are several."""
    means = runs.mean(1)
    shown = [i for i in range(means.shape[1]) if not np.isnan(means[:, i]).any()]
    text = " / ".join(f"{means[:, i].mean():.{digits[i]}f}".lstrip("0") for i in shown)
    if len(means) > 1:
        text += " ± " + " / ".join(f"{means[:, i].std():.{digits[i]}f}".lstrip("0") for i in shown)
    return text


def main() -> None:
    """Run what is asked for and write the table of all that is stored."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", metavar="NAME=CACHE")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", default="", help="only rows whose names hold this")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--store", type=Path, default=Path("runs/folds.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.store.parent.mkdir(parents=True, exist_ok=True)
    names = [given.partition("=")[0] for given in options.sets]
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    digits = tuple(place for _, place in METRICS.values())
    for row, arguments in ROWS.items():
        cells = []
        for given in options.sets:
            name, _, cache = given.partition("=")
            seeds = range(options.seeds if row.startswith(RANDOM) else 1)
            found = np.full((len(seeds), options.folds, len(METRICS)), np.nan)
            for seed in seeds:
                for fold in range(options.folds):
                    key = f"{name}|{arguments}|{options.folds}|{fold}|{seed}"
                    done = json.loads(options.store.read_text()) if options.store.is_file() else {}
                    if key not in done and options.rows in row:
                        split = f"data.folds={options.folds} data.fold={fold} seed={seed}"
                        done[key] = scores(cache, f"{arguments} {split}")
                        options.store.write_text(json.dumps(done))
                    found[seed, fold] = done.get(key, np.nan)
            found = found[~np.isnan(found[..., 0]).any(1)]  # seeds of which all folds are there
            cells.append(cell(found, digits) if len(found) else "")
            print(row, name, cells[-1], flush=True)
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
