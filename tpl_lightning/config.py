"""Every option of the framework: one tree of frozen dataclasses, and how it is filled.

Order of precedence: the defaults of ``options`` < YAML files from left to right < ``key=value`` arguments.
This module imports neither torch nor anything else of the package but ``options`` and the error class, so that a wrong
key is reported at once.
"""

import glob
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from tpl_lightning.errors import UserError
from tpl_lightning.options.check import require
from tpl_lightning.options.fits import DirectConfig, DtwConfig, MatcherConfig
from tpl_lightning.options.networks import DtanConfig, HeadConfig, LossConfig, ModelConfig, WarpConfig
from tpl_lightning.options.packaged import find_yaml, packaged_names
from tpl_lightning.options.runs import BenchConfig, DataConfig, Method, RunConfig, TrainConfig

__all__ = [
    "BenchConfig",
    "Config",
    "DataConfig",
    "DirectConfig",
    "DtanConfig",
    "DtwConfig",
    "HeadConfig",
    "LossConfig",
    "MatcherConfig",
    "ModelConfig",
    "RunConfig",
    "TrainConfig",
    "WarpConfig",
    "config_to_dict",
    "load_config",
    "save_config",
]


@dataclass(frozen=True)
class Config:
    """All options."""

    method: Method = "tpl"
    """The aligner."""
    refine: bool | None = None
    """Refine the warps of `method` by the direct fit, from where they are; empty: yes for tpl_plus, no for others."""
    seed: int = 0
    """Seeds every random number; the same seed gives the same bits on a CPU."""
    data: DataConfig = field(default_factory=DataConfig)
    warp: WarpConfig = field(default_factory=WarpConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    dtw: DtwConfig = field(default_factory=DtwConfig)
    dtan: DtanConfig = field(default_factory=DtanConfig)
    direct: DirectConfig = field(default_factory=DirectConfig)
    matcher: MatcherConfig = field(default_factory=MatcherConfig)
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
        """Tell whether warps are refined."""
        return self.method == "tpl_plus" if self.refine is None else self.refine

    def __post_init__(self) -> None:
        """Check ranges."""
        require(0 <= self.seed < 2**32, "seed", "in 0..2**32-1", self.seed)
        require(self.method in get_args(Method), "method", f"one of {', '.join(get_args(Method))}", self.method)


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _load_yaml(path: Path) -> Any:
    from omegaconf import DictConfig, OmegaConf

    found = find_yaml(path)
    if not found.is_file():
        raise UserError(
            f"{path}: no such configuration file; give an existing YAML, one of the package ({packaged_names()}), or "
            "key=value arguments."
        )
    try:
        loaded = OmegaConf.load(found)
    except Exception as error:  # yaml raises several unrelated classes
        raise UserError(f"{path}: not a readable YAML file ({_one_line(error)}); mend it.") from error
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


def _merge(base: Any, update: Any, origin: str) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.merge(base, update)
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        key = getattr(error, "full_key", None) or getattr(error, "key", None) or "?"
        message = _one_line(error)
        if "not in" in message:
            message = f"unknown key `{key}`; `tpl fit --help` lists the keys"
        elif "Cannot merge DictConfig" in message or "not in enum" in message:
            message = f"wrong value for `{key}` ({message})"
        else:
            message = f"wrong value for `{key}`: {message}"
        raise UserError(f"{origin}: {message}.") from error


def load_config(arguments: Sequence[str] = (), *, defaults: dict[str, Any] | None = None) -> Config:
    """Build the configuration from YAML files and ``key=value`` arguments, later ones winning.

    Args:
        arguments: Paths of YAML files and ``key=value`` strings in any order.
        defaults: A nested dictionary that is laid over the dataclass defaults first (a checkpoint's
            configuration, say).

    Returns:
        The checked configuration.

    Raises:
        UserError: If a file is missing, a key unknown, or a value of the wrong type or out of range.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    tree = OmegaConf.structured(Config)
    if defaults:
        tree = _merge(tree, OmegaConf.create(defaults), "stored configuration")
    # Files first, whatever the order on the line: an argument is always meant to win over a file.
    for argument in arguments:
        if "=" not in argument:
            if argument.startswith("-"):
                raise UserError(f"{argument}: unknown flag; options are written key=value, without hyphens.")
            tree = _merge(tree, _load_yaml(Path(argument)), argument)
    for argument in arguments:
        if "=" in argument:
            try:
                text = argument.removeprefix("--")
                if text.endswith("=None"):  # how sweep agents write null
                    text = text.removesuffix("None") + "null"
                update = OmegaConf.from_dotlist([text])
            except Exception as error:
                raise UserError(f"{argument}: not a readable key=value argument ({_one_line(error)}).") from error
            tree = _merge(tree, update, argument)
    try:
        config = OmegaConf.to_object(tree)
    except OmegaConfBaseException as error:
        raise UserError(f"configuration: {_one_line(error)}.") from error
    assert isinstance(config, Config)
    return config


def config_to_dict(config: Config) -> dict[str, Any]:
    """Return the configuration as nested dictionaries of primitives; without ``resume``, which is of one call."""
    return {key: value for key, value in asdict(config).items() if key != "resume"}


def save_config(config: Config, path: Path) -> None:
    """Write the resolved configuration as YAML."""
    from omegaconf import OmegaConf

    path.write_text(OmegaConf.to_yaml(OmegaConf.create(config_to_dict(config))), encoding="utf-8")
