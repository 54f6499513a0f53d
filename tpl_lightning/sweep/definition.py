"""A sweep file in W&B's format, read and checked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tpl_lightning.config import Config, load_config, load_yaml
from tpl_lightning.errors import UserError
from tpl_lightning.sweep.space import Parameter, as_argument, expect, read_parameter

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
        return tuple(p for p in self.parameters if len(p.choices) != 1)

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


def read_sweep(path: Path) -> Sweep:
    """Read a sweep file.

    Raises:
        UserError: If it is missing, no sweep, or asks for what is not known here.
    """
    raw = load_yaml(path, "sweeps")
    try:
        for key in raw:
            expect(key in _KEYS, f"unknown key `{key}`; there are: {', '.join(sorted(_KEYS))}.")
        method, cap = raw.get("method"), raw.get("run_cap")
        expect(method in _METHODS, f"expected `method` to be one of {', '.join(_METHODS)}, but got {method!r}.")
        expect(cap is None or _is_count(cap), f"expected `run_cap` of at least 1, but got {cap!r}.")
        metric, maximize = _read_metric(raw.get("metric", _DEFAULT_METRIC))
        return Sweep(
            path=path,
            raw=raw,
            method=str(method),
            metric=metric,
            maximize=maximize,
            parameters=_read_parameters(raw.get("parameters"), listed=method == "grid"),
            early_stop=_read_early_stop(raw.get("early_terminate")),
            arguments=_read_arguments(raw.get("command"), path.resolve().parents),
            run_cap=cap,
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _is_count(value: Any, least: int = 1) -> bool:
    return type(value) is int and value >= least


def _read_parameters(given: Any, *, listed: bool) -> tuple[Parameter, ...]:
    expect(isinstance(given, dict) and len(given) > 0, "expected keys and values under `parameters`.")
    found = tuple(read_parameter(str(name), spec) for name, spec in given.items())
    return tuple(replace(p, choices=tuple(p.grid())) for p in found) if listed else found


def _read_metric(metric: Any) -> tuple[str, bool]:
    expect(isinstance(metric, dict) and isinstance(metric.get("name"), str), "`metric` needs a `name`.")
    name, goal = metric["name"], metric.get("goal", "minimize")
    expect(goal in ("minimize", "maximize"), f"`metric.goal` is minimize or maximize, but got {goal!r}.")
    parts = name.split("/")
    on_test = "test" in parts or ("val" not in parts and any(part in _ON_TEST_VIDEOS for part in parts))
    expect(
        not on_test or parts[0] == "best",
        f"metric {name!r} looks at test videos, and what is chosen by them cannot be tested on them; choose "
        "quality/score, val/plp or val/event_spread.",
    )
    return name, goal == "maximize"


def _read_early_stop(given: Any) -> EarlyStop | None:
    if given is None:
        return None
    is_hyperband = isinstance(given, dict) and given.get("type") == "hyperband"
    expect(is_hyperband, "`early_terminate.type` must be hyperband.")
    for key, value in given.items():
        expect(key in ("type", "strict", "min_iter", "max_iter", "s", "eta"), f"early_terminate: unknown key `{key}`.")
        least = 2 if key == "eta" else 1
        ok = key in ("type", "strict") or _is_count(value, least)
        expect(ok, f"early_terminate: expected an integer `{key}` of at least {least}, but got {value!r}.")
    eta = given.get("eta", 3)
    if "min_iter" in given:
        return EarlyStop(given["min_iter"], eta)
    expect({"max_iter", "s"} <= set(given), "early_terminate needs `min_iter`, or `max_iter` and `s`.")
    return EarlyStop(max(given["max_iter"] // eta ** given["s"], 1), eta)


def _read_arguments(command: Any, places: Sequence[Path]) -> tuple[str, ...]:
    """Return what the command hands to ``tpl fit`` beside the parameters; YAML files are looked for in some places."""
    wanted = "expected `command: [${env}, ${program}, fit, experiments/NAME.yaml, ${args_no_hyphens}]`"
    expect(isinstance(command, list) and "fit" in command, f"{wanted}, but got {command!r}.")
    arguments = [str(item) for item in command[command.index("fit") + 1 :]]
    found = []
    for item in arguments:
        if item not in _ARGUMENTS:
            expect(not item.startswith("${"), f"command: {item} is not known here; {wanted}.")
            above = () if "=" in item or Path(item).is_file() else (place / item for place in places)
            found.append(str(next((path for path in above if path.is_file()), item)))
    expect(len(found) < len(arguments), f"{wanted}: without the last no value would arrive.")
    return tuple(found)
