"""``tpl test``: align and score videos with a trained model, against its stored prototypes.

usage: tpl test RUN|CHECKPOINT [data.cache=OTHER.h5] [action=auto] [key=value ...]
Align the test videos of a cache (all videos where it has no test split) with a trained model and score them
against the prototypes stored in the checkpoint. Writes runs/<run>-test-<cache>/ . Videos whose action in the cache is
none of the run's are compared with all of these, with action=auto all videos; those that show none are left out.
example: tpl test runs/first data.cache=data/more.h5
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpl_lightning import aligners, data, evaluation, reports, runs
from tpl_lightning.commands.shared import flat_scores, open_data
from tpl_lightning.config import Config, changed, config_to_dict, load_config
from tpl_lightning.errors import UserError, best_effort
from tpl_lightning.runs import find_cache

if TYPE_CHECKING:
    import numpy as np


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


_AUTO = "action=auto"
# What the weights depend on: an evaluation that changed them would be of another model.
_FIXED = (
    *("method", "warp.", "model.", "dtw.", "dtan.", "direct.", "head."),
    *("data.center", "data.scale", "data.pca", "data.group_weights"),
)


def _refuse_contradictions(config: Config, stored: dict[str, Any], path: Path) -> None:
    for key, (was, _) in changed(stored, config_to_dict(config)).items():
        if key.startswith(_FIXED) and key != "direct.device":  # which is of the machine, not of the model
            raise UserError(f"{path}: was trained with {key}={was}; leave `{key}` out, or fit a new run.")


def _recognised(videos: "data.VideoSet", folder: Path, *, every: bool) -> "tuple[data.VideoSet, float | None]":
    """Return videos with the actions that they show, and the share of those with a known name that got this name.

    Args:
        videos: The videos.
        folder: The run that tells its actions apart.
        every: Ask of all; else only of those whose action is none of the run's.
    """
    import numpy as np

    if not (folder / "alignment.h5").is_file():
        return videos, None
    source = runs.Run(folder)
    known = np.isin(videos.action, source.actions)
    asked = np.flatnonzero(~known | every)
    if not len(asked):
        return videos, None
    if videos.num_channels != source.cache.num_channels:
        return videos, None  # which is refused in words of its own
    shown = source.recognise(videos.video_id[asked].tolist(), [videos.read(row) for row in asked.tolist()])
    action = videos.action.astype(object)
    action[asked] = shown
    source.refuse_none(action.tolist())
    named = action[asked][known[asked]] == videos.action[asked][known[asked]]
    kept = action != ""
    return videos.with_action(action.astype(str)).select(kept), float(named.mean()) if len(named) else None


def _labels_of_prototypes(
    aligner: "aligners.StoredAligner", alignment: "evaluation.Alignment"
) -> "dict[str, np.ndarray]":
    """Return the stored labels of each action; raise where they are not those of the prototypes aligned to."""
    labels = aligner.prototype_labels()
    for action, length in zip(alignment.action.tolist(), alignment.prototype_length.tolist(), strict=True):
        if labels[action].shape != (length,):
            raise ValueError(f"prototype of {action!r}: labels of shape {labels[action].shape}, expected ({length},)")
    return labels


def _read_config(path: Path, run_dir: Path, arguments: list[str]) -> Config:
    """Return the configuration of the run with what may differ in a test."""
    stored = config_to_dict(load_config(defaults=_stored_config(path)))  # of whatever version
    stored["run"]["name"] = None
    config = load_config(arguments, defaults=stored)
    if config.data.cache is not None and config.data.cache == stored["data"]["cache"]:
        config = replace(config, data=replace(config.data, cache=find_cache(config.data.cache, run_dir)))
    elif not any("data.fold" in argument for argument in arguments) and config.data.cache != stored["data"]["cache"]:
        # The folds of the training run are a division of another cache.
        config = replace(config, data=replace(config.data, folds=0, fold=0))
    _refuse_contradictions(config, stored, path)
    return config


def run(path: Path, arguments: list[str]) -> int:
    """Align, score and write."""
    from tpl_lightning.files import as_checkpoint

    run_dir = path.resolve().parent.parent
    config = _read_config(path, run_dir, [argument for argument in arguments if argument != _AUTO])
    cache = open_data(config)
    data.warn_of_still(cache)
    name = config.run.name or f"{run_dir.name}-test-{cache.name}"
    config = replace(config, data=replace(config.data, cache=str(cache.path)), run=replace(config.run, name=name))
    videos = data.select_evaluation(data.VideoSet(cache), config.data)
    videos, accuracy = _recognised(videos, run_dir, every=_AUTO in arguments)
    with as_checkpoint(path):
        aligner = aligners.load_aligner(path, config)
        start = time.perf_counter()
        alignment = aligner.align(videos)
        seconds = time.perf_counter() - start
        stored_labels = _labels_of_prototypes(aligner, alignment)
    source = reports.data_source(cache)
    with runs.open_run_directory(config) as run_dir:
        alignment.save(run_dir / "alignment.h5")  # before anything is measured on it
        scores = evaluation.evaluate(alignment, videos, prototypes=stored_labels)
        metrics = {
            **flat_scores(scores),
            "seconds/align": seconds,
            "method": config.method,
            "checkpoint": str(path),
            **({} if accuracy is None else {"test/action_accuracy": accuracy}),
            "data_source": source,
            "cache": str(cache.path),
            "videos/test": len(videos),
        }
        runs.write_metrics(run_dir, metrics)
    with best_effort("the table is not shown"):
        reports.print_scores({config.method: scores}, source)
    print(f"Run directory: {run_dir}")
    print(f"RESULT test/plp={scores.overall['test/plp']:.4f} run={run_dir}")
    return 0


def main(arguments: list[str]) -> int:
    """Take the checkpoint from the first argument and run."""
    if not arguments or ("=" in arguments[0] and not Path(arguments[0]).exists()):
        raise UserError("tpl test: expected a run directory or a checkpoint first: tpl test RUN [key=value ...].")
    return run(checkpoint_path(arguments[0]), arguments[1:])
