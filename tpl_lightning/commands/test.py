"""``tpl test``: align and score videos with a trained model, against its stored prototypes."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tpl_lightning.config import Config, config_to_dict, load_config
from tpl_lightning.errors import UserError, best_effort
from tpl_lightning.runs import find_cache

__all__ = ["checkpoint_path", "main"]

_USAGE = """usage: tpl test RUN|CHECKPOINT [data.cache=OTHER.h5] [key=value ...]
Align the test videos of a cache (all videos where it has no test split) with a trained model and score them
against the prototypes stored in the checkpoint. Writes runs/<run>-test-<cache>/ .
example: tpl test runs/first data.cache=data/more.h5
"""


def checkpoint_path(argument: str) -> Path:
    """Return the checkpoint of a run directory, or the file itself."""
    path = Path(argument)
    if not path.is_dir():
        return path
    found = path / "checkpoints" / "last.ckpt"
    refined = found.with_name("refinement.ckpt")  # all that there is of a method that learns nothing by itself
    return found if found.is_file() or not refined.is_file() else refined


def _stored_config(path: Path) -> dict[str, Any]:
    from tpl_lightning.files import as_checkpoint, read_checkpoint

    checkpoint = read_checkpoint(path)
    with as_checkpoint(path):
        if "config" not in checkpoint.get("hyper_parameters", {}):
            raise UserError(f"{path}: not a readable checkpoint of this framework; fit the run again.")
        stored: dict[str, Any] = checkpoint["hyper_parameters"]["config"]
        return {**stored, "run": {**stored["run"], "name": None}}


# What the weights depend on: an evaluation that changed them would be of another model.
_FIXED = ("method", "warp", "model", "dtw", "dtan", "direct", "head")


def _refuse_contradictions(config: Config, stored: dict[str, Any], path: Path) -> None:
    current = config_to_dict(config)
    for options in (current, stored):
        options["direct"] = {**options["direct"], "device": None}  # of the machine, not of the model
    for key in _FIXED:
        if current[key] != stored[key]:
            raise UserError(f"{path}: was trained with {key}={stored[key]}; leave `{key}` out, or fit a new run.")
    for key in ("center", "scale", "pca"):
        if current["data"][key] != stored["data"][key]:
            value = stored["data"][key]
            raise UserError(f"{path}: was trained with data.{key}={value}; leave `data.{key}` out, or fit a new run.")


def run(path: Path, arguments: list[str]) -> int:
    """Align, score and write."""
    stored = config_to_dict(load_config(defaults=_stored_config(path)))  # of whatever version
    run_name = path.resolve().parent.parent.name
    stored["run"]["name"] = None
    config = load_config(arguments, defaults=stored)
    if config.data.cache is not None and config.data.cache == stored["data"]["cache"]:
        place = find_cache(config.data.cache, path.resolve().parent.parent)
        config = replace(config, data=replace(config.data, cache=place))
        stored["data"]["cache"] = place
    if config.data.cache != stored["data"]["cache"] and not any("data.fold" in argument for argument in arguments):
        # The folds of the training run are a division of another cache.
        config = replace(config, data=replace(config.data, folds=0, fold=0))
    _refuse_contradictions(config, stored, path)
    from tpl_lightning.aligners import load_aligner
    from tpl_lightning.data import VideoSet, open_cache, select_evaluation
    from tpl_lightning.datasets import find_or_make_cache
    from tpl_lightning.evaluation import evaluate
    from tpl_lightning.files import as_checkpoint
    from tpl_lightning.reports import data_source, print_scores
    from tpl_lightning.runs import open_run_directory, write_metrics

    cache = open_cache(find_or_make_cache(config.data, progress=config.run.progress))
    cache.validate()
    name = config.run.name or f"{run_name}-test-{cache.name}"
    config = replace(config, data=replace(config.data, cache=str(cache.path)), run=replace(config.run, name=name))
    videos = select_evaluation(VideoSet(cache), config.data)
    with as_checkpoint(path):
        aligner = load_aligner(path, config)
        start = time.perf_counter()
        alignment = aligner.align(videos)
        seconds = time.perf_counter() - start
        stored_labels = aligner.prototype_labels()
    source = data_source(cache)
    with open_run_directory(config) as run_dir:
        alignment.save(run_dir / "alignment.h5")  # before anything is measured on it
        scores = evaluate(alignment, videos, prototypes=stored_labels)
        metrics = {**scores.overall, "seconds/align": seconds, "method": config.method, "checkpoint": str(path)}
        for action, values in scores.per_action.items():
            metrics |= {f"{key}/{action}": value for key, value in values.items()}
        about = {"data_source": source, "cache": str(cache.path), "videos/test": len(videos)}
        write_metrics(run_dir, {**metrics, **about})
    with best_effort("the table is not shown"):
        print_scores({config.method: scores}, source)
    print(f"Run directory: {run_dir}")
    print(f"RESULT test/plp={scores.overall['test/plp']:.4f} run={run_dir}")
    return 0


def main(arguments: list[str]) -> int:
    """Take the checkpoint from the first argument and run."""
    if set(arguments) & {"-h", "--help"}:
        print(_USAGE)
        return 0
    if not arguments or ("=" in arguments[0] and not Path(arguments[0]).exists()):
        raise UserError("tpl test: expected a run directory or a checkpoint first: tpl test RUN [key=value ...].")
    return run(checkpoint_path(arguments[0]), arguments[1:])
