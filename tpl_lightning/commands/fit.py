"""``tpl fit``: train an aligner, align all videos, score them, draw them.

usage: tpl fit [config.yaml ...] [key=value ...]
Train an aligner on an embedding cache; writes runs/<name>/ and prints the scores.
A run that was stopped, in whatever way, goes on with: tpl fit resume=runs/NAME
example: tpl fit experiments/genai.yaml data.cache=data/genai.h5 run.name=first seed=1
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tpl_lightning import aligners, data, evaluation, functional, lit, reports, runs, sync, tracking
from tpl_lightning.commands.ranks import joined_ranks
from tpl_lightning.commands.resume import load_fit_config
from tpl_lightning.commands.shared import flat_scores, open_data
from tpl_lightning.config import Config
from tpl_lightning.errors import best_effort


def _other_rows(
    config: Config,
    run_dir: Path,
    train: "data.VideoSet",
    videos: "data.VideoSet",
    features: "aligners.Features",
    aligner: "aligners.Aligner",
) -> "dict[str, evaluation.Scores]":
    """Score the rows that no method may fall below, and of a refined aligner what was refined."""
    found = {}
    for method in ("linear", "pad"):
        if method != config.method:
            baseline = aligners.build_aligner(replace(config, method=method, refine=False), run_dir)  # type: ignore[arg-type]
            baseline.fit(train)
            found[method] = baseline.align(videos)
    if isinstance(aligner, aligners.RefinedAligner):
        found[config.method] = aligner.base.align(videos)
    return {row: evaluation.evaluate(own, videos, features=features, raw=False) for row, own in found.items()}


def _validation_scores(alignment: "evaluation.Alignment", videos: "data.VideoSet") -> dict[str, float]:
    """Score the validation videos as the test videos are, where there are any."""
    import numpy as np

    if not (alignment.split == "val").any():
        return {}
    as_test = np.select([alignment.split == "val", alignment.split == "train"], ["test", "train"], "val")
    found = evaluation.evaluate(replace(alignment, split=as_test), videos).overall
    return {"val/plp": found["test/plp"], "val/event_spread": found["event_spread"]}


def _follow_training(config: Config, run_dir: Path, splits: "data.Splits", wandb_run: "tracking.WandbRun") -> None:
    """Have figures drawn while a network is trained, where there is a log to put them into."""
    if wandb_run.is_active and config.run.figures and config.method in ("tpl", "tpl_plus", "dtan"):
        wandb_run.callbacks.append(reports.Snapshots(config, run_dir, splits.train, wandb_run))


def _log_results(
    config: Config, run_dir: Path, cache: "data.EmbeddingCache", metrics: dict[str, Any], wandb_run: "tracking.WandbRun"
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


def _log_pictures(run_dir: Path, metrics: dict[str, Any], wandb_run: "tracking.WandbRun") -> None:
    """Log the figures and a clip of a few videos in step."""
    if not wandb_run.is_active:
        return

    wandb_run.log_images(run_dir / "figures")
    clip = sync.write_preview(run_dir, run_dir / "figures" / "preview.mp4")
    if clip is not None:
        wandb_run.log_video(clip, "preview", metrics["data_source"])


def run(config: Config) -> int:
    """Fit, align, score and draw."""
    cache, usable = data.usable_groups(open_data(config, most_frames=runs.CHECKED_FRAMES), config.data)
    config = replace(config, data=replace(usable, cache=str(cache.path)))
    splits = data.split_videos(data.VideoSet(cache), config.data)
    config = lit.with_epochs(config, len(splits.train))
    with runs.open_run_directory(config) as run_dir:
        if functional.is_rank_zero():
            print(f"Data: {reports.data_source(cache)}", file=sys.stderr)
            counts = f"{len(splits.train)} train, {len(splits.val)} val, {len(splits.test)} test videos"
            print(f"{counts}; {len(splits.train.actions)} actions; run {run_dir}", file=sys.stderr)
        tags = [cache.extractor, *(["procedural"] if cache.is_procedural else [])]
        with tracking.open_wandb_run(config, run_dir, tags=tags, main=functional.is_rank_zero()) as wandb_run:
            return _fit_and_score(config, splits, run_dir, wandb_run)


def _fit_and_score(config: Config, splits: "data.Splits", run_dir: Path, wandb_run: "tracking.WandbRun") -> int:
    """Do what is left to do once the run directory is there."""
    _follow_training(config, run_dir, splits, wandb_run)
    aligner = aligners.build_aligner(config, run_dir, wandb_run)
    start = time.perf_counter()
    aligner.fit(splits.train, splits.val if len(splits.val) else None)
    seconds_fit = time.perf_counter() - start
    if not functional.is_rank_zero():
        return 0  # another rank writes the results
    videos = splits.all()
    features = aligner.features() or data.Preprocessor.fit(splits.train, config.data)
    start = time.perf_counter()
    alignment = aligner.align(videos)
    seconds_align = time.perf_counter() - start
    alignment.save(run_dir / "alignment.h5")  # before anything is measured on it
    own = evaluation.evaluate(alignment, videos, features=features)
    rows = _other_rows(config, run_dir, splits.train, videos, features, aligner)
    scores = {**rows, config.method + (reports.REFINED if config.method in rows else ""): own}
    metrics = {
        **flat_scores(own),
        **{key: value for row, found in rows.items() for key, value in flat_scores(found, f"{row}/").items()},
        "seconds/fit": seconds_fit,
        "seconds/align": seconds_align,
        **_origin(config, splits),
        **evaluation.assess(alignment, videos, features).to_metrics(),
        "notes": [*aligner.notes(), *_without_effect(config), *evaluation.unmeasured(own, videos)],
        **{f"diagnosis/{key}": value for key, value in aligner.diagnosis().items()},
        **_validation_scores(alignment, videos),
    }
    runs.write_metrics(run_dir, metrics)
    _log_results(config, run_dir, videos.cache, metrics, wandb_run)
    if config.run.figures:
        with best_effort("figures are not drawn"):
            reports.draw_run(run_dir, aligner, alignment, videos, own, reports.data_source(videos.cache))
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


def _origin(config: Config, splits: "data.Splits") -> dict[str, Any]:
    """Return what a run was made of, for metrics.json."""
    cache = splits.train.cache
    return {
        "method": config.method,
        "seed": config.seed,
        "data_source": reports.data_source(cache),
        "cache": str(cache.path),
        "cache_fingerprint": cache.fingerprint(),
        "videos/train": len(splits.train),
        "videos/val": len(splits.val),
        "videos/test": len(splits.test),
    }


def _tell(
    run_dir: Path, scores: dict[str, "evaluation.Scores"], own: "evaluation.Scores", metrics: dict[str, Any]
) -> None:
    """Print the table and what is to be known of the run; the last line is for programs."""
    with best_effort("the table is not shown"):
        reports.print_scores(scores, metrics["data_source"])
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


OPTIONS = Config


def main(arguments: list[str]) -> int:
    """Read the configuration before anything heavy is imported, then run."""
    config = load_fit_config(arguments)
    with joined_ranks(config):
        return run(config)
