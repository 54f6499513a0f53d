"""Tiny end-to-end run on CPU: made, trained, killed, resumed, tested, synchronised. Run by ``make smoke``."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tpl_lightning.synthetic.build import build_procedural_set


def _tpl(*arguments: str) -> str:
    command = [sys.executable, "-m", "tpl_lightning", *arguments]
    print("$ tpl", *arguments, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout.splitlines()[-1], flush=True)
    return done.stdout


def _killed_and_resumed(folder: Path, run: Path, arguments: list[str]) -> None:
    """Begin a fit, kill it as it has saved something, and go on."""
    command = [sys.executable, "-m", "tpl_lightning", "fit", *arguments]
    with (folder / "killed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        while process.poll() is None and not (run / "checkpoints" / "last.ckpt").exists():
            time.sleep(0.02)
        process.kill()
        process.wait()
    assert not (run / "metrics.json").exists(), "it ended before it was killed"
    _tpl("fit", f"resume={run}")


def _check_run(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert 0 <= metrics["test/plp"] <= 1, metrics
    for file in ("config.yaml", "alignment.h5", "checkpoints/last.ckpt", "figures/latents.png", "metrics.csv"):
        assert (run / file).is_file(), file


def main() -> None:
    """Build, fit, kill and resume, test, synchronise; fail loudly if a promised file is missing."""
    os.environ.setdefault("WANDB_MODE", "disabled")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = build_procedural_set(folder / "tiny.h5", video_dir=folder / "clips", num_clips=15, channels=16)
        _tpl("cache", "validate", str(cache))
        common = [f"data.cache={cache}", f"run.dir={folder / 'runs'}"]
        small = ["model.hidden=16", "model.aligner_depth=3", "data.pca=8", "run.progress=false"]
        run = folder / "runs" / "tpl"
        epochs = ["train.max_epochs=120", "train.val_every=60"]
        arguments = ["experiments/genai.yaml", *common, "run.name=tpl", "method=tpl", *small, *epochs]
        _killed_and_resumed(folder, run, arguments)
        _check_run(run)
        _tpl("fit", "experiments/genai.yaml", *common, "run.name=plus", *small)
        run = folder / "runs" / "plus"
        _check_run(run)
        _tpl("test", str(run), *common)
        scores = [json.loads((folder / "runs" / n / "metrics.json").read_text()) for n in ("plus", "plus-test-tiny")]
        # Batches differ, so a frame between two prototype points may round the other way.
        assert abs(scores[0]["test/plp"] - scores[1]["test/plp"]) < 5e-3, scores
        action = min((folder / "clips").iterdir())
        _tpl("sync", str(run), str(action), f"out={folder / 'synced.mp4'}", "width=96")
        assert (folder / "synced.mp4").stat().st_size > 5000
    print("smoke: ok")


if __name__ == "__main__":
    main()
