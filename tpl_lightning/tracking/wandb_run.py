"""One run in W&B: opened by ``tpl fit``, joined by every Trainer, closed in any case."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tpl_lightning.config import Config, config_to_dict
from tpl_lightning.errors import first_line
from tpl_lightning.tracking.login import choose_mode
from tpl_lightning.tracking.scores import BestScores

if TYPE_CHECKING:
    from lightning import Callback
    from lightning.pytorch.loggers import Logger

CONFIG_KEY = "tpl"
"""Key of W&B's config that holds the whole configuration; the flat keys of a sweep lie beside it."""
_PROJECT = "tpl_lightning"
_INIT_SECONDS = 30.0  # an unreachable server must not hold a fit up for longer
_FOLDERS = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR")  # where wandb copies artifacts to: below the run as well
_TAG_LENGTH = 64  # W&B refuses longer ones


def describe_run(config: Config, run_dir: Path) -> dict[str, Any]:
    """Return name, group, kind and tags of a run: data set, method, fold and seed, and what the user adds."""
    data = config.data
    parts = [f"fold{data.fold}of{data.folds}"] if data.folds else []
    method = config.method + ("+refined" if config.refines and config.method != "tpl_plus" else "")
    tags = [data.dataset, method, *(f"fold {part[4:]}" for part in parts), f"seed {config.seed}", *config.run.tags]
    return {
        "name": run_dir.name,
        "group": config.run.group or os.environ.get("WANDB_RUN_GROUP") or f"{data.dataset}-{method}",
        "job_type": "-".join([*parts, f"seed{config.seed}"]),
        "tags": list(dict.fromkeys(tag[:_TAG_LENGTH] for tag in tags if tag)),
    }


class WandbRun:
    """What is told to W&B about a run. Without a W&B run behind it every call does nothing.

    Args:
        run_dir: The run directory.
        run: The open W&B run, if any.
    """

    def __init__(self, run_dir: Path, run: Any = None) -> None:
        """Keep the run."""
        self.run_dir, self._run = run_dir, run
        self.best = BestScores(run_dir / "metrics.csv")
        self.callbacks: list[Callback] = []
        """Callbacks for the Trainers of methods that are validated while they train."""

    @property
    def is_active(self) -> bool:
        """Tell whether anything is logged."""
        return self._run is not None

    def attempt(self, call: Callable[[Any], object]) -> None:
        """Do something with the W&B run; if that fails, warn once and go on without it."""
        if self._run is None:
            return
        try:
            call(self._run)
        except Exception as error:  # whatever a service and a network can raise
            print(f"Warning: W&B failed ({first_line(error)}); the run goes on without it.", file=sys.stderr)
            run, self._run = self._run, None
            with suppress(Exception):  # it has failed already, and was warned of
                run.finish(exit_code=1)

    def loggers(self) -> "list[Logger]":
        """Return the loggers that a Trainer gets beside the CSV log."""
        if self._run is None:
            return []
        from tpl_lightning.tracking.logger import RunLogger

        return [RunLogger(self, self._run)]

    def log_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Log the final metrics: the score without labels as a last point, everything as summary."""
        clean = {k: v for k, v in metrics.items() if not (isinstance(v, float) and not math.isfinite(v))}
        last = {k: v for k, v in clean.items() if k in ("quality/score", "val/plp", "val/event_spread")}
        last |= self.best.update(clean)

        def log(run: Any) -> None:
            if last:
                run.log(last)
            run.summary.update({**clean, **self.best.values})

        self.attempt(log)

    def log_images(self, folder: Path, *, prefix: str = "figures", epoch: int | None = None) -> None:
        """Log the PNG files of a folder as images ``prefix/<stem>``."""

        def log(run: Any) -> None:
            import wandb

            images = {f"{prefix}/{path.stem}": wandb.Image(str(path)) for path in sorted(folder.glob("*.png"))}
            if images:
                run.log(images if epoch is None else {**images, "epoch": epoch})

        self.attempt(log)

    def log_video(self, path: Path, name: str, caption: str) -> None:
        """Log an .mp4 file."""

        def log(run: Any) -> None:
            import wandb

            run.log({name: wandb.Video(str(path), caption=caption, format="mp4")})

        self.attempt(log)

    def log_checkpoint(self, folder: Path, metadata: Mapping[str, Any]) -> None:
        """Log the checkpoints of a folder as an artifact of type model, if there are any."""

        def log(run: Any) -> None:
            import wandb

            artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata=dict(metadata))
            for path in files:
                # The run directory keeps the file, so wandb need not copy it.
                artifact.add_file(str(path.resolve()), policy="immutable", skip_cache=True)
            run.log_artifact(artifact)

        if files := sorted(folder.glob("*.ckpt")):
            self.attempt(log)

    def log_cache(self, files: Sequence[Path], fingerprint: str, metadata: Mapping[str, Any]) -> None:
        """Log an embedding cache as an artifact that refers to the files; they may be large and are never uploaded."""

        def log(run: Any) -> None:
            import wandb

            facts = {"fingerprint": fingerprint, "bytes": sum(path.stat().st_size for path in files), **metadata}
            artifact = wandb.Artifact(f"cache-{fingerprint}", type="dataset", metadata=facts)
            for path in files:
                artifact.add_reference(path.resolve().as_uri(), name=path.name, checksum=False)
            run.log_artifact(artifact)

        self.attempt(log)

    def finish(self, exit_code: int) -> None:
        """Close the W&B run."""
        self.attempt(lambda run: run.finish(exit_code=exit_code))
        self._run = None


@contextmanager
def open_wandb_run(config: Config, run_dir: Path, *, tags: Sequence[str] = (), main: bool = True) -> Iterator[WandbRun]:
    """Log what is done inside to W&B, and say in one line where it goes.

    Args:
        config: The configuration.
        run_dir: The run directory; W&B's files go below it.
        tags: Further tags.
        main: Whether this process logs; False on all ranks but the first.

    Yields:
        The run; one that does nothing where W&B is disabled or does not start.
    """
    kept = {name: os.environ.get(name) for name in _FOLDERS}
    mode, why = choose_mode(config.run.wandb) if main else ("disabled", "")
    run = None if mode == "disabled" else _open(config, run_dir, mode, why, tags)
    opened = WandbRun(run_dir, run)
    code = 1
    try:
        yield opened
        code = 0
    finally:
        opened.finish(code)
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _open(config: Config, run_dir: Path, mode: str, why: str, tags: Sequence[str]) -> Any:
    """Start the W&B run; offline where the server does not answer, None where nothing works."""
    for name in _FOLDERS:
        os.environ.setdefault(name, str((run_dir / "wandb").resolve()))
    problem = ""
    for attempt in dict.fromkeys([mode, "offline"]):
        try:
            run = _init(config, run_dir, attempt, tags)
        except Exception as error:  # wandb missing, broken, or its service or server out of reach
            problem = problem or f"W&B does not start {attempt} ({first_line(error)})"
            continue
        where = run.url if attempt == "online" else _offline_place(run)
        print(f"{f'Warning: {problem}; ' if problem else ''}W&B: {attempt} ({why}), {where}", file=sys.stderr)
        return run
    print(f"Warning: {problem}; the run goes on without it.", file=sys.stderr)
    return None


def _offline_place(run: Any) -> str:
    folder = Path(run.settings.sync_dir)
    shown = os.path.relpath(folder)
    return f"upload with: wandb sync {shown if not shown.startswith('..') else folder}"


def _init(config: Config, run_dir: Path, mode: str, tags: Sequence[str]) -> Any:
    import wandb

    about = describe_run(config, run_dir)
    about["tags"] = list(dict.fromkeys([*about["tags"], *(tag[:_TAG_LENGTH] for tag in tags if tag)]))
    record = run_dir / "wandb" / "tpl.json"
    earlier = _read_record(record)
    if earlier:
        about["tags"].append("resumed")
        # Only a run on the server can go on; a second offline run of the same id would replace the first.
        if earlier.get("mode") == mode == "online":
            about |= {"id": earlier["id"], "resume": "allow"}
    run = wandb.init(
        project=config.run.project or os.environ.get("WANDB_PROJECT") or _PROJECT,
        dir=str(run_dir),
        config={CONFIG_KEY: config_to_dict(config)},
        settings=wandb.Settings(
            mode=cast(Any, mode),
            silent=True,
            console="off",  # metrics.csv and the terminal have it
            save_code=False,
            init_timeout=_INIT_SECONDS,
            reinit="finish_previous",
        ),
        **about,
    )
    run.define_metric("epoch", hidden=True)
    for name in ("train/*", "val/*", "best/*", "figures/epochs/*"):
        run.define_metric(name, step_metric="epoch")
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"id": run.id, "mode": mode}) + "\n", encoding="utf-8")
    return run


def _read_record(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "id" in found else {}
