"""Tiny end-to-end run on CPU: data made, trained, tested, in a temporary folder. Run by ``make smoke``."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tpl_lightning.data.procedural.build import build_procedural_set


def _tpl(*arguments: str) -> str:
    command = [sys.executable, "-m", "tpl_lightning", *arguments]
    print("$ tpl", *arguments, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout.splitlines()[-1], flush=True)
    return done.stdout


def main() -> None:
    """Build, fit, test; fail loudly if a promised file is missing."""
    os.environ.setdefault("WANDB_MODE", "disabled")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = build_procedural_set(folder / "tiny.h5", video_dir=None, num_clips=20, channels=16)
        _tpl("cache", "validate", str(cache))
        options = [
            "matcher.epochs=2",
            "train.max_epochs=8",
            "train.val_every=4",
            "model.hidden=16",
            "model.aligner_depth=3",
            "data.pca=8",
        ]
        common = [f"data.cache={cache}", f"run.dir={folder / 'runs'}"]
        for method in ("tpl", "tpl_plus"):
            _tpl("fit", "experiments/genai.yaml", *common, f"run.name={method}", f"method={method}", *options)
            run = folder / "runs" / method
            metrics = json.loads((run / "metrics.json").read_text())
            assert 0 <= metrics["test/plp"] <= 1, metrics
            for file in ("config.yaml", "alignment.h5", "checkpoints/last.ckpt", "figures/latents.png", "metrics.csv"):
                assert (run / file).is_file(), file
            _tpl("test", str(run), *common)
            again = json.loads((folder / "runs" / f"{method}-test-tiny" / "metrics.json").read_text())
            # Batches differ, so a frame between two prototype points may round the other way.
            assert abs(again["test/plp"] - metrics["test/plp"]) < 5e-3, (again, metrics)
    print("smoke: ok")


if __name__ == "__main__":
    main()
