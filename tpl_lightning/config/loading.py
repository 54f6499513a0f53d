"""Every option of the framework: one tree of frozen dataclasses, and how it is filled.

Order of precedence: the defaults of the dataclasses < YAML files from left to right < ``key=value`` arguments.
This module imports neither torch nor anything else of the package but its own room and the error class, so that a wrong
key is reported at once.
"""

import glob
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from tpl_lightning.config.check import near_miss, require
from tpl_lightning.config.fits import DirectConfig, DtwConfig
from tpl_lightning.config.networks import DtanConfig, HeadConfig, LossConfig, ModelConfig, WarpConfig
from tpl_lightning.config.packaged import find_yaml, packaged_names
from tpl_lightning.config.presets import PRESETS
from tpl_lightning.config.retired import is_retired, without_retired
from tpl_lightning.config.runs import BenchConfig, DataConfig, Method, RunConfig, Selection, TrainConfig
from tpl_lightning.config.typed import escaped, field_type, read_typed
from tpl_lightning.errors import FileError, UserError, first_line

__all__ = [
    "BenchConfig",
    "Config",
    "DataConfig",
    "DirectConfig",
    "DtanConfig",
    "DtwConfig",
    "HeadConfig",
    "LossConfig",
    "ModelConfig",
    "RunConfig",
    "TrainConfig",
    "WarpConfig",
    "complete_config",
    "config_to_dict",
    "differences",
    "is_file",
    "load_config",
    "load_run_config",
    "save_config",
    "split_argument",
    "to_yaml",
]


@dataclass(frozen=True)
class Config:
    """All options."""

    method: Method = "tpl_plus"
    """The aligner. tpl: as in the paper; tpl_plus: the same module with an aligner that sees the prototype."""
    refine: bool | None = None
    """Refine the warps of `method` by the direct fit, from where they are; empty: yes for tpl_plus, no for others."""
    select: Selection = "auto"
    """labels: the labels of the training videos choose how strong the prior on warps is, up to linear rescaling, where
    that is clearly better than the prior as set; they have no say in the fit itself. auto: where at least 8 training
    videos have labels. none: labels are not looked at."""
    seed: int = 0
    """Seeds every random number; the same seed gives the same bits on a CPU."""
    data: DataConfig = field(default_factory=DataConfig)
    warp: WarpConfig = field(default_factory=WarpConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    dtw: DtwConfig = field(default_factory=DtwConfig)
    dtan: DtanConfig = field(default_factory=DtanConfig)
    direct: DirectConfig = field(default_factory=DirectConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    trainer: dict[str, Any] = field(default_factory=dict)
    """Further options of lightning.Trainer, by Lightning's names (`trainer.devices=2`)."""
    run: RunConfig = field(default_factory=RunConfig)
    bench: BenchConfig = field(default_factory=BenchConfig)
    resume: str | None = None
    """A run to go on with, as runs/NAME; all other options are those of that run."""

    @property
    def refines(self) -> bool:
        """Tell whether the direct fit refines the warps of the method, where it does not make them."""
        if self.method in ("direct", "tcc", "lav"):
            return False
        return self.method == "tpl_plus" if self.refine is None else self.refine

    def __post_init__(self) -> None:
        """Check ranges."""
        require(0 <= self.seed < 2**32, "seed", "in 0..2**32-1", self.seed)
        require(self.method in get_args(Method), "method", f"one of {', '.join(get_args(Method))}", self.method)
        require(self.select in get_args(Selection), "select", f"one of {', '.join(get_args(Selection))}", self.select)


def _load_yaml(path: Path) -> Any:
    from omegaconf import DictConfig, OmegaConf

    found = find_yaml(path)
    if not found.is_file():
        raise FileError(
            f"{path}: no such configuration file; give an existing YAML, one of the package ({packaged_names()}), or "
            "key=value arguments."
        )
    try:
        loaded = OmegaConf.load(found)
    except Exception as error:  # yaml raises several unrelated classes
        raise FileError(f"{path}: not a readable YAML file ({first_line(error)}); mend it.") from error
    if not isinstance(loaded, DictConfig):
        raise UserError(f"{path}: expected `key: value` lines at the top level, but got a list; mend it.")
    _place_cache(loaded, found.parent)
    return loaded


def _place_cache(loaded: Any, folder: Path) -> None:
    """Read a file's ``data.cache`` from the file's own folder, where there is none from the working directory."""
    from omegaconf import DictConfig

    data = loaded.get("data")
    if not isinstance(data, DictConfig):
        return
    cache = data.get("cache")
    if isinstance(cache, str) and not glob.glob(cache) and glob.glob(str(folder / cache)):
        data["cache"] = str(folder / cache)


def _keys(options: Any = Config, prefix: str = "") -> list[str]:
    """Return all dotted keys."""
    keys = []
    for item in fields(options):
        kind = field_type(options, item.name)
        keys += _keys(kind, f"{prefix}{item.name}.") if is_dataclass(kind) else [f"{prefix}{item.name}"]
    return keys


def _merge(base: Any, update: Any, origin: str) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.merge(base, update)
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        key = getattr(error, "full_key", None) or getattr(error, "key", None) or "?"
        message = first_line(error)
        if "not in" in message:
            message = f"unknown key `{key}`{near_miss(str(key), _keys())}; `tpl fit --help` lists the keys"
        elif "Cannot merge DictConfig" in message or "not in enum" in message:
            message = f"wrong value for `{key}` ({message})"
        else:
            message = f"wrong value for `{key}`: {message}"
        raise UserError(f"{origin}: {message}.") from error


def split_argument(argument: str) -> tuple[str, str]:
    """Return key and value of ``key=value``; hyphens before it are those of sweep agents, and ``cache`` is short."""
    key, _, value = argument.removeprefix("--").partition("=")
    return ("data.cache" if key == "cache" else key), value


def is_file(argument: str) -> bool:
    """Tell whether an argument names a YAML file: it has no ``=``, or one in the name of a file that is there."""
    return "=" not in argument or (field_type(Config, split_argument(argument)[0]) is None and os.path.isfile(argument))


# A run may have any name.
_NEVER_EMPTY = ("run.name",)


def _typed(argument: str) -> Any:
    """Return the nested configuration that a ``key=value`` argument means."""
    from omegaconf import OmegaConf

    key, value = split_argument(argument)
    kind = field_type(Config, key)
    try:
        is_group = is_dataclass(kind) and value.lstrip().startswith("{")
        # Of the options of Lightning the types are not known.
        if kind in (None, Any) or is_group or key.partition(".")[0] == "trainer":
            return OmegaConf.from_dotlist([f"{key}={'null' if value == 'None' else value}"])
        found = read_typed(value, kind, null=key not in _NEVER_EMPTY)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{argument}: wrong value for `{key}`: {error}.") from error
    except Exception as error:  # yaml raises several unrelated classes
        raise UserError(f"{argument}: not a readable key=value argument ({first_line(error)}).") from error
    nested = escaped(found)
    for name in reversed(key.split(".")):
        nested = {name: nested}
    return OmegaConf.create(nested)


def load_config(
    arguments: Sequence[str] = (), *, defaults: dict[str, Any] | None = None, origin: str = "stored configuration"
) -> Config:
    """Build the configuration from YAML files and ``key=value`` arguments, later ones winning.

    What ``method`` sets beside its name (``config.presets``) lies over the defaults and under all else.

    Args:
        arguments: Paths of YAML files and ``key=value`` strings in any order.
        defaults: A nested dictionary that is laid over the dataclass defaults first (a checkpoint's
            configuration, say).
        origin: What messages call ``defaults``.

    Returns:
        The checked configuration.

    Raises:
        UserError: If a file is missing, a key unknown, or a value of the wrong type or out of range.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    updates: list[tuple[Any, str]] = []
    if defaults:
        updates.append((OmegaConf.create(escaped(defaults)), origin))
    # Files first, whatever the order on the line: an argument is always meant to win over a file.
    for argument in arguments:
        if is_file(argument):
            if argument.startswith("-"):
                raise UserError(f"{argument}: unknown flag; options are written key=value, without hyphens.")
            updates.append((_load_yaml(Path(argument)), argument))
    for argument in arguments:
        if not is_file(argument):
            updates.append((_typed(argument), argument))
    updates = [(without_retired(update, origin), origin) for update, origin in updates]
    tree = OmegaConf.structured(Config)
    for update, origin in updates:
        tree = _merge(tree, update, origin)
    if tree.method in PRESETS:
        tree = _merge(OmegaConf.structured(Config), OmegaConf.create(PRESETS[tree.method]), tree.method)
        for update, origin in updates:
            tree = _merge(tree, update, origin)
    try:
        config = OmegaConf.to_object(tree)
    except OmegaConfBaseException as error:
        raise UserError(f"configuration: {first_line(error)}.") from error
    assert isinstance(config, Config)
    _check_finite(config_to_dict(config))
    return config


def _check_finite(tree: dict[str, Any], prefix: str = "") -> None:
    for key, value in tree.items():
        if isinstance(value, dict):
            _check_finite(value, f"{prefix}{key}.")
            continue
        for number in value if isinstance(value, list) else [value]:
            is_finite = not isinstance(number, float) or math.isfinite(number)
            require(is_finite, f"{prefix}{key}", "a finite number", value)


def complete_config(stored: dict[str, Any], origin: str) -> dict[str, Any]:
    """Return stored options as this version has them: without those that it does not know, defaults for the others.

    Args:
        stored: What :func:`config_to_dict` gave, of this version or another.
        origin: Where they come from, for messages.

    Raises:
        UserError: If a value is refused today.
    """
    unknown: list[str] = []
    known = _without_unknown(stored, config_to_dict(Config()), "", unknown)
    if unknown:
        names = ", ".join(unknown)
        print(f"tpl: warning: {origin}: options of another version, left out: {names}", file=sys.stderr)
    try:
        return config_to_dict(load_config(defaults=known))
    except UserError as error:
        raise UserError(f"{origin}: made by another version, and {error}") from error


def _without_unknown(tree: dict[str, Any], known: dict[str, Any], prefix: str, unknown: list[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in tree.items():
        if key not in known:
            unknown += [] if is_retired(f"{prefix}{key}") else [f"{prefix}{key}"]
        elif isinstance(value, dict) and isinstance(known[key], dict) and known[key]:
            kept[key] = _without_unknown(value, known[key], f"{prefix}{key}.", unknown)
        else:
            kept[key] = value
    return kept


def load_run_config(path: Path) -> Config:
    """Read the config.yaml of a run, made by this version or another.

    Raises:
        UserError: If it is missing, unreadable, or holds a value that is refused today.
    """
    from omegaconf import OmegaConf

    stored = OmegaConf.to_container(_load_yaml(path))
    assert isinstance(stored, dict)
    return load_config(defaults=complete_config({str(k): v for k, v in stored.items()}, str(path)))


def config_to_dict(config: Config) -> dict[str, Any]:
    """Return the configuration as nested dictionaries of primitives; without ``resume``, which is of one call."""
    return {key: value for key, value in asdict(config).items() if key != "resume"}


def differences(config: Config) -> dict[str, Any]:
    """Return the options, nested, that are not as their method has them: the method itself and what was given."""
    usual = config_to_dict(load_config([f"method={config.method}"]))
    return {"method": config.method, **_differences(config_to_dict(config), usual)}


def _differences(tree: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and isinstance(usual.get(key), dict):
            below = _differences(value, usual[key])
            found |= {key: below} if below else {}
        elif value != usual.get(key):
            found[key] = value
    return found


def to_yaml(tree: dict[str, Any]) -> str:
    """Return nested options as YAML that :func:`load_config` reads as the same."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(escaped(tree)))


def save_config(config: Config, path: Path) -> None:
    """Write the resolved configuration as YAML."""
    path.write_text(to_yaml(config_to_dict(config)), encoding="utf-8", errors="surrogateescape")
