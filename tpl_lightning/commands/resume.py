"""What ``resume=RUN`` means: the configuration is the run's own, and nothing on the line may contradict it."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tpl_lightning.config import Config, changed, config_to_dict, load_config, load_run_config
from tpl_lightning.errors import UserError
from tpl_lightning.runs import find_cache

_FREE = ("run.", "bench.", "data.num_workers", "data.cache")
"""What does not change a result, so that it may differ; another cache is told by its fingerprint."""


def load_fit_config(arguments: Sequence[str]) -> Config:
    """Return the configuration of a fit, or that of the run to go on with.

    A job that SLURM has queued again goes on with the run of its ``run.name``, if that has begun.

    Raises:
        UserError: As :func:`load_config`; or if there is no such run, or an argument contradicts it.
    """
    place = next((a.partition("=")[2] for a in arguments if a.removeprefix("--").startswith("resume=")), None)
    if place in (None, "", "null", "None"):
        config = load_config(arguments)
        run_dir = Path(config.run.dir) / (config.run.name or "")
        queued_again = int(os.environ.get("SLURM_RESTART_COUNT", "0") or 0) > 0
        if not (queued_again and config.run.name and (run_dir / "config.yaml").is_file()):
            return config
        return _resumed(run_dir, arguments)
    return _resumed(Path(str(place)), arguments)


def _resumed(place: Path, arguments: Sequence[str]) -> Config:
    run_dir = place.parent.parent if place.suffix == ".ckpt" else place
    stored_file = run_dir / "config.yaml"
    if not stored_file.is_file():
        raise UserError(f"{run_dir}: no run to resume there (config.yaml is missing); give resume=runs/NAME.")
    stored = load_run_config(stored_file)
    if stored.method == "tpl_plus" and "matcher:" in stored_file.read_text(encoding="utf-8").splitlines():
        raise UserError(
            f"{run_dir}: of a version whose TPL+ was a matching network, which this one cannot train; start a new run "
            "without resume."
        )
    if stored.data.cache is not None:
        cache = find_cache(stored.data.cache, run_dir)
        stored = replace(stored, data=replace(stored.data, cache=cache))
    files = [a for a in arguments if "=" not in a]
    if files:
        print(f"Resuming with {stored_file}; {', '.join(files)} is not read again.", file=sys.stderr)
    options = [a for a in arguments if "=" in a and not a.removeprefix("--").startswith("resume=")]
    wanted = load_config(options, defaults=config_to_dict(stored))
    for key, values in changed(config_to_dict(stored), config_to_dict(wanted)).items():
        was, now = ("null" if value is None else value for value in values)
        if key == "run.name" or not key.startswith(_FREE):
            raise UserError(
                f"{key}={now}: contradicts the run {run_dir}, which has {key}={was}; leave `{key}` out to go on with "
                "it, or start a new run without resume."
            )
    return replace(wanted, resume=str(run_dir))
