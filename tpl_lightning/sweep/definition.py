"""A sweep file in W&B's format, read and checked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tpl_lightning.config import Config, load_config, load_yaml
from tpl_lightning.errors import UserError
from tpl_lightning.sweep.space import Parameter, as_argument, read_parameter

_METHODS = ("random", "bayes", "grid")
_KEYS = {
    *("method", "metric", "parameters", "early_terminate", "command", "program"),
    *("name", "description", "project", "entity", "run_cap"),
}
_ON_TEST_VIDEOS = ("event_spread", "warp_error")  # measured on train and test videos together
_ARGUMENTS = ("${args_no_hyphens}", "${args}")
_DEFAULT_METRIC = {"name": "quality/score", "goal": "maximize"}


@dataclass(frozen=True)
class EarlyStop:
    """Successive halving, what W&B calls hyperband.

    A trial goes on after its n-th value of the metric, n = min_iter, min_iter eta, min_iter eta^2, ..., if it is among
    the best 1 / eta of those that came so far.
    """

    min_iter: int
    eta: int


@dataclass(frozen=True)
class Sweep:
    """What a sweep file asks for.

    Attributes:
        path: The file.
        raw: What stands in it.
        method: random, bayes or grid.
        metric: Name of what is optimised.
        maximize: Which way.
        parameters: What is varied, constants too.
        early_stop: When trials are given up; None: never.
        arguments: Of ``tpl fit`` in the file's command, beside the parameters.
        run_cap: Most trials, where the file says so.
    """

    path: Path
    raw: dict[str, Any]
    method: str
    metric: str
    maximize: bool
    parameters: tuple[Parameter, ...]
    early_stop: EarlyStop | None
    arguments: tuple[str, ...]
    run_cap: int | None

    @property
    def varied(self) -> tuple[Parameter, ...]:
        """Return the parameters that are no constants."""
        return tuple(p for p in self.parameters if not p.is_constant)

    def base_config(self, overrides: Sequence[str]) -> Config:
        """Check every value that the sweep lists, and return the configuration of its first.

        Raises:
            UserError: If ``tpl fit`` would refuse one; names the key.
        """
        fixed = [*self.arguments, *(as_argument(p.name, p.probes()[0]) for p in self.parameters), *overrides]
        try:
            config = load_config(fixed)
            for parameter in self.parameters:
                for value in parameter.probes()[1:]:
                    load_config([*fixed, as_argument(parameter.name, value)])
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from error
        return config

    def without(self, overrides: Sequence[str]) -> "Sweep":
        """Return the sweep without the parameters that are given on the command line."""
        from omegaconf import OmegaConf

        # As the configuration reads them: `warp[num_cells]=8` and `warp={num_cells: 8}` set `warp.num_cells`.
        given = [OmegaConf.from_dotlist([override]) for override in overrides]
        left = tuple(p for p in self.parameters if all(OmegaConf.select(tree, p.name) is None for tree in given))
        return replace(self, parameters=left)


def _expect(condition: bool, path: Path, message: str) -> None:
    if not condition:
        raise UserError(f"{path}: {message}")


def _read_metric(path: Path, raw: dict[str, Any]) -> tuple[str, bool]:
    metric = raw.get("metric", _DEFAULT_METRIC)
    _expect(isinstance(metric, dict) and isinstance(metric.get("name"), str), path, "`metric` needs a `name`.")
    name, goal = metric["name"], metric.get("goal", "minimize")
    _expect(goal in ("minimize", "maximize"), path, f"`metric.goal` is minimize or maximize, but got {goal!r}.")
    parts = name.split("/")
    on_test = "test" in parts or ("val" not in parts and any(part in _ON_TEST_VIDEOS for part in parts))
    if on_test and parts[0] != "best":
        raise UserError(
            f"{path}: metric {name!r} looks at test videos, and what is chosen by them cannot be tested on them; "
            "choose quality/score, val/plp or val/event_spread."
        )
    return name, goal == "maximize"


def _read_early_stop(path: Path, raw: dict[str, Any]) -> EarlyStop | None:
    spec = raw.get("early_terminate")
    if spec is None:
        return None
    _expect(
        isinstance(spec, dict) and spec.get("type") == "hyperband", path, "`early_terminate.type` must be hyperband."
    )
    unknown = sorted(set(spec) - {"type", "min_iter", "max_iter", "s", "eta", "strict"})
    _expect(not unknown, path, f"early_terminate: `{unknown[0] if unknown else ''}` is not known here.")
    for key in ("min_iter", "max_iter", "s", "eta"):
        value = spec.get(key, 3)
        _expect(type(value) is int and value >= 1, path, f"early_terminate: expected an integer `{key}` above 0.")
    eta = spec.get("eta", 3)
    _expect(eta >= 2, path, f"early_terminate: expected `eta` of at least 2, but got {eta}.")
    if "min_iter" in spec:
        return EarlyStop(spec["min_iter"], eta)
    _expect("max_iter" in spec and "s" in spec, path, "early_terminate needs `min_iter`, or `max_iter` and `s`.")
    return EarlyStop(max(spec["max_iter"] // eta ** spec["s"], 1), eta)


def _read_arguments(path: Path, raw: dict[str, Any]) -> tuple[str, ...]:
    """Return what the command hands to ``tpl fit`` beside the parameters."""
    command = raw.get("command")
    wanted = "expected `command: [${env}, ${program}, fit, experiments/NAME.yaml, ${args_no_hyphens}]`"
    _expect(isinstance(command, list) and "fit" in command, path, f"{wanted}, but got {command!r}.")
    assert command is not None
    arguments = [str(item) for item in command[command.index("fit") + 1 :]]
    _expect(any(item in _ARGUMENTS for item in arguments), path, f"{wanted}: without the last no value would arrive.")
    left = [_found(path, item) for item in arguments if item not in _ARGUMENTS]
    odd = [item for item in left if item.startswith("${")]
    _expect(not odd, path, f"command: {odd[0] if odd else ''} is not known here; {wanted}.")
    return tuple(left)


def _found(path: Path, argument: str) -> str:
    """Return an argument; a YAML file that is not here is looked for above the sweep file."""
    if "=" in argument or Path(argument).is_file():
        return argument
    places = (parent / argument for parent in path.resolve().parents)
    return str(next((place for place in places if place.is_file()), argument))


def read_sweep(path: Path) -> Sweep:
    """Read a sweep file.

    Raises:
        UserError: If it is missing, no sweep, or asks for what is not known here.
    """
    raw = load_yaml(path, "sweeps")
    unknown = sorted(set(raw) - _KEYS)
    _expect(not unknown, path, f"unknown key `{unknown[0] if unknown else ''}`; there are: {', '.join(sorted(_KEYS))}.")
    method = raw.get("method")
    _expect(method in _METHODS, path, f"expected `method` to be one of {', '.join(_METHODS)}, but got {method!r}.")
    parameters = raw.get("parameters")
    _expect(isinstance(parameters, dict) and len(parameters) > 0, path, "expected keys and values under `parameters`.")
    assert isinstance(parameters, dict)
    try:
        read = tuple(read_parameter(str(name), spec) for name, spec in parameters.items())
        read = tuple(replace(p, choices=tuple(p.grid())) for p in read) if method == "grid" else read
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    cap = raw.get("run_cap")
    _expect(cap is None or (type(cap) is int and cap >= 1), path, f"expected `run_cap` of at least 1, but got {cap!r}.")
    metric, maximize = _read_metric(path, raw)
    return Sweep(
        path=path,
        raw=raw,
        method=str(method),
        metric=metric,
        maximize=maximize,
        parameters=read,
        early_stop=_read_early_stop(path, raw),
        arguments=_read_arguments(path, raw),
        run_cap=cap,
    )
