"""``tpl fit``: train an aligner, align all videos, score them, draw them."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpl_lightning.commands.data import open_data
from tpl_lightning.commands.options import options_help
from tpl_lightning.commands.resume import load_fit_config
from tpl_lightning.config import Config
from tpl_lightning.errors import best_effort

if TYPE_CHECKING:
    from tpl_lightning.aligners import Aligner, Features
    from tpl_lightning.data import EmbeddingCache, Splits, VideoSet
    from tpl_lightning.evaluation import Alignment, Scores
    from tpl_lightning.tracking import WandbRun

__all__ = ["main"]

# Read before a fit; of larger caches the rest is checked as it is read (`tpl cache validate` reads all).
_CHECKED_FRAMES = 5_000_000

_USAGE = """usage: tpl fit [config.yaml ...] [key=value ...]
Train an aligner on an embedding cache; writes runs/<name>/ and prints the scores.
A run that was stopped, in whatever way, goes on with: tpl fit resume=runs/NAME
example: tpl fit experiments/genai.yaml data.cache=data/genai.h5 run.name=first seed=1
"""


def _other_rows(
    config: Config, run_dir: Path, train: "VideoSet", videos: "VideoSet", features: "Features", aligner: "Aligner"
) -> "dict[str, Scores]":
    """Score the rows that no method may fall below, and of a refined aligner what was refined."""
    from tpl_lightning.aligners import RefinedAligner, build_aligner
    from tpl_lightning.evaluation import evaluate

    found = {}
    for method in ("linear", "pad"):
        if method != config.method:
            baseline = build_aligner(replace(config, method=method, refine=False), run_dir)  # type: ignore[arg-type]
            baseline.fit(train)
            found[method] = baseline.align(videos)
    if isinstance(aligner, RefinedAligner):
        found[config.method] = aligner.base.align(videos)
    return {row: evaluate(own, videos, features=features, raw=False) for row, own in found.items()}


def _flat(scores: "dict[str, Scores]", method: str) -> dict[str, Any]:
    """Flatten to metrics.json keys: the method's own bare, the baselines' with their name in front."""
    flat: dict[str, Any] = {}
    for name, row in scores.items():
        prefix = "" if name == method else f"{name}/"
        flat |= {f"{prefix}{key}": value for key, value in row.overall.items()}
        for action, values in row.per_action.items():
            flat |= {f"{prefix}{key}/{action}": value for key, value in values.items()}
    return flat


def _validation_scores(alignment: "Alignment", videos: "VideoSet") -> dict[str, float]:
    """Score the validation videos as the test videos are, where there are any."""
    import numpy as np

    from tpl_lightning.evaluation import evaluate

    if not (alignment.split == "val").any():
        return {}
    as_test = np.select([alignment.split == "val", alignment.split == "train"], ["test", "train"], "val")
    found = evaluate(replace(alignment, split=as_test), videos).overall
    return {"val/plp": found["test/plp"], "val/event_spread": found["event_spread"]}


def _follow_training(config: Config, run_dir: Path, splits: "Splits", wandb_run: "WandbRun") -> None:
    """Have figures drawn while a network is trained, where there is a log to put them into."""
    if not (wandb_run.is_active and config.run.figures and config.method in ("tpl", "tpl_plus", "dtan")):
        return
    from tpl_lightning.reports import Snapshots, data_source, snapshot_epochs

    epochs, source = snapshot_epochs(config.train.max_epochs or 1), data_source(splits.train.cache)
    wandb_run.callbacks.append(
        Snapshots(config, run_dir, splits.train, wandb_run=wandb_run, source=source, epochs=epochs)
    )


def _log_results(
    config: Config, run_dir: Path, cache: "EmbeddingCache", metrics: dict[str, Any], wandb_run: "WandbRun"
) -> None:
    """Log what the run directory holds: metrics, the checkpoint and which cache it was made of."""
    if not wandb_run.is_active:
        return
    facts = {"dataset": cache.dataset, "extractor": cache.extractor, "source": cache.source, "videos": len(cache)}
    fingerprint = metrics["cache_fingerprint"]
    wandb_run.log_metrics(metrics)
    wandb_run.log_cache(cache.files, fingerprint, {**facts, "channels": cache.num_channels})
    wandb_run.log_checkpoint(
        run_dir / "checkpoints", {**facts, "method": config.method, "cache_fingerprint": fingerprint}
    )


def _log_pictures(run_dir: Path, metrics: dict[str, Any], wandb_run: "WandbRun") -> None:
    """Log the figures and a clip of a few videos in step."""
    if not wandb_run.is_active:
        return
    from tpl_lightning.sync import write_preview

    wandb_run.log_images(run_dir / "figures")
    clip = write_preview(run_dir, run_dir / "figures" / "preview.mp4")
    if clip is not None:
        wandb_run.log_video(clip, "preview", metrics["data_source"])


def run(config: Config) -> int:
    """Fit, align, score and draw."""
    from tpl_lightning.data import VideoSet, split_videos
    from tpl_lightning.functional import is_rank_zero
    from tpl_lightning.lit import with_epochs
    from tpl_lightning.reports import data_source
    from tpl_lightning.runs import open_run_directory
    from tpl_lightning.tracking import open_wandb_run

    cache, config = open_data(config, most_frames=_CHECKED_FRAMES)
    splits = split_videos(VideoSet(cache), config.data)
    config = with_epochs(config, len(splits.train))
    with open_run_directory(config) as run_dir:
        if is_rank_zero():
            print(f"Data: {data_source(cache)}", file=sys.stderr)
            counts = f"{len(splits.train)} train, {len(splits.val)} val, {len(splits.test)} test videos"
            print(f"{counts}; {len(splits.train.actions)} actions; run {run_dir}", file=sys.stderr)
        tags = [cache.extractor, *(["procedural"] if cache.is_procedural else [])]
        with open_wandb_run(config, run_dir, tags=tags, main=is_rank_zero()) as wandb_run:
            return _fit_and_score(config, splits, run_dir, wandb_run)


def _fit_and_score(config: Config, splits: "Splits", run_dir: Path, wandb_run: "WandbRun") -> int:
    """Do what is left to do once the run directory is there."""
    from tpl_lightning.aligners import build_aligner
    from tpl_lightning.data import Preprocessor
    from tpl_lightning.evaluation import assess, evaluate, unmeasured
    from tpl_lightning.functional import is_rank_zero
    from tpl_lightning.reports import REFINED, data_source
    from tpl_lightning.runs import write_metrics

    _follow_training(config, run_dir, splits, wandb_run)
    aligner = build_aligner(config, run_dir, wandb_run)
    start = time.perf_counter()
    aligner.fit(splits.train, splits.val if len(splits.val) else None)
    seconds_fit = time.perf_counter() - start
    if not is_rank_zero():
        return 0  # another rank writes the results
    videos = splits.all()
    features = aligner.features() or Preprocessor.fit(splits.train, config.data)
    start = time.perf_counter()
    alignment = aligner.align(videos)
    seconds_align = time.perf_counter() - start
    alignment.save(run_dir / "alignment.h5")  # before anything is measured on it
    own = evaluate(alignment, videos, features=features)
    scores = _other_rows(config, run_dir, splits.train, videos, features, aligner)
    name = config.method + (REFINED if config.method in scores else "")
    scores[name] = own
    metrics = {
        **_flat(scores, name),
        "seconds/fit": seconds_fit,
        "seconds/align": seconds_align,
        **_origin(config, splits),
        **assess(alignment, videos, features).to_metrics(),
        "notes": [*aligner.notes(), *_without_effect(config), *unmeasured(own, videos)],
        **{f"diagnosis/{key}": value for key, value in aligner.diagnosis().items()},
        **_validation_scores(alignment, videos),
    }
    write_metrics(run_dir, metrics)
    _log_results(config, run_dir, videos.cache, metrics, wandb_run)
    if config.run.figures:
        with best_effort("figures are not drawn"):
            from tpl_lightning.reports import draw_run

            draw_run(run_dir, aligner, alignment, videos, own, data_source(videos.cache))
        with best_effort("pictures are not logged"):
            _log_pictures(run_dir, metrics, wandb_run)
    _tell(run_dir, scores, own, metrics)
    return 0


def _without_effect(config: Config) -> list[str]:
    """Name options that were set and that the method does not read."""
    sees_prototype = config.method in ("tpl", "tpl_plus") and config.model.aligner == "path"
    open_methods = ("direct", "dba", "softdba", "tcc", "lav")
    if config.warp.ends != "open" or config.refines or sees_prototype or config.method in open_methods:
        return []
    return [f"warp.ends=open has no effect: warps of {config.method} have fixed ends; refine=true opens them."]


def _origin(config: Config, splits: "Splits") -> dict[str, Any]:
    """Return what a run was made of, for metrics.json."""
    from tpl_lightning.reports import data_source

    cache = splits.train.cache
    return {
        "method": config.method,
        "seed": config.seed,
        "data_source": data_source(cache),
        "cache": str(cache.path),
        "cache_fingerprint": cache.fingerprint(),
        "videos/train": len(splits.train),
        "videos/val": len(splits.val),
        "videos/test": len(splits.test),
    }


def _tell(run_dir: Path, scores: dict[str, "Scores"], own: "Scores", metrics: dict[str, Any]) -> None:
    """Print the table and what is to be known of the run; the last line is for programs."""
    from tpl_lightning.reports import print_scores

    with best_effort("the table is not shown"):
        print_scores(scores, metrics["data_source"])
    score, agreement, roughness = (metrics[f"quality/{name}"] for name in ("score", "agreement", "roughness"))
    print(
        f"Without labels: score {score:.3f} = agreement {agreement:.3f} (0: as linear rescaling) "
        f"- 0.1 x roughness {roughness:.3f}."
    )
    for note in metrics["notes"]:
        print(f"Note: {note}")
    for warning in metrics["warnings"]:
        print(f"Warning: {warning}")
    print(f"Run directory: {run_dir}")
    plp, cbc = own.overall["test/plp"], own.overall["train/cbc"]
    print(f"RESULT test/plp={plp:.4f} train/cbc={cbc:.4f} run={run_dir}")


def main(arguments: list[str]) -> int:
    """Read the configuration before anything heavy is imported, then run."""
    if set(arguments) & {"-h", "--help"}:
        print(_USAGE)
        print(options_help([given for given in arguments if given not in ("-h", "--help")]))
        return 0
    from tpl_lightning.commands.ranks import joined_ranks

    config = load_fit_config(arguments)
    with joined_ranks(config):
        return run(config)
