"""Score methods on clips whose ends are cut off: prints a table, and writes it where ``--output`` says.

Usage: python benchmarks/open_ends.py CACHE [--cut 0.2] [--seeds 3] [--folds 4] [--rows TEXT] [--output PATH]

Each end of each video loses a uniform share of its length, from none to ``--cut``, independently. Mean over rotated
folds and seeds of the cuts, and the standard deviation over seeds. One thread.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from ablation import scores

from tpl_lightning.data import EmbeddingCache, EmbeddingCacheWriter, open_cache

ROWS = {
    "linear rescaling": "method=linear",
    "SoftDBA, fixed ends": "method=softdba warp.ends=fixed",
    "SoftDBA, open ends": "method=softdba warp.ends=open",
    "DBA, open ends": "method=dba warp.ends=open",
    "direct, fixed ends": "method=direct warp.ends=fixed",
    "direct, open ends": "method=direct warp.ends=open",
    "direct": "method=direct",
    "TPL+ refined": "method=tpl_plus refine=true",
}


def cut(cache: EmbeddingCache, out: Path, most: float, seed: int) -> Path:
    """Write a cache whose videos lose up to ``most`` of their length at each end."""
    rng = np.random.default_rng(seed)
    with EmbeddingCacheWriter(
        out,
        dataset=cache.dataset,
        extractor=cache.extractor,
        source=f"{cache.path.name}, cut",
        phase_names=cache.phase_names,
    ) as writer:
        for i, length in enumerate(cache.lengths.tolist()):
            begin, end = np.rint(rng.uniform(0, most, 2) * length).astype(int)
            kept = slice(begin, length - end)
            progress = cache.progress(i)
            writer.append(
                video_id=str(cache.video_id[i]),
                action=str(cache.action[i]),
                split=str(cache.split[i]),
                embeddings=cache.read(i)[kept],
                labels=cache.labels(i)[kept],
                fps=float(cache.fps[i]),
                progress=None if progress is None else progress[kept],
            )
    return out


def main() -> None:
    """Cut, fit, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cache", type=Path)
    parser.add_argument("--cut", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--rows", default="", help="only rows whose names hold this")
    parser.add_argument("--output", type=Path, help="where the table is written, beside printing it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cache = open_cache(options.cache)
    lines = ["| | CBC ↑ | PLP ↑ | key-event spread ↓ | options |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        caches = [cut(cache, Path(folder) / f"{s}.h5", options.cut, s) for s in range(options.seeds)]
        for name, arguments in ROWS.items():
            if options.rows not in name:
                continue
            folds = [f"data.folds={options.folds} data.fold={fold}" for fold in range(options.folds)]
            found = np.array([[scores(str(c), f"{arguments} {fold}") for fold in folds] for c in caches]).mean(1)
            cells = [f"{found[:, i].mean():.{n}f} ± {found[:, i].std():.{n}f}" for i, n in ((0, 3), (1, 3), (2, 4))]
            lines.append(f"| {name} | {' | '.join(cells)} | `{arguments}` |")
            print(lines[-1], flush=True)
    if options.output is not None:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
