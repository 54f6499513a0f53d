"""Every option of the framework: one tree of frozen dataclasses, and how it is filled.

Order of precedence: the defaults of ``options`` < YAML files from left to right < ``key=value`` arguments.
This module imports neither torch nor anything else of the package but ``options`` and the error class, so that a wrong
key is reported at once.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from tpl_lightning.errors import UserError
from tpl_lightning.options.check import require
from tpl_lightning.options.fits import DirectConfig, DtwConfig, MatcherConfig
from tpl_lightning.options.networks import DtanConfig, HeadConfig, LossConfig, ModelConfig, WarpConfig
from tpl_lightning.options.runs import BenchConfig, DataConfig, Method, RunConfig, TrainConfig
from tpl_lightning.options.typed import escaped, field_type, read_typed

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
    "is_file",
    "load_config",
    "save_config",
    "split_argument",
    "to_yaml",
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

    if not path.is_file():
        raise UserError(f"{path}: no such configuration file; give an existing YAML, or key=value arguments.")
    try:
        loaded = OmegaConf.load(path)
    except Exception as error:  # yaml raises several unrelated classes
        raise UserError(f"{path}: not a readable YAML file ({_one_line(error)}); mend it.") from error
    if not isinstance(loaded, DictConfig):
        raise UserError(f"{path}: expected `key: value` lines at the top level, but got a list; mend it.")
    return loaded


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


def split_argument(argument: str) -> tuple[str, str]:
    """Return key and value of ``key=value``; hyphens before it are those of sweep agents, and ``cache`` is short."""
    key, _, value = argument.removeprefix("--").partition("=")
    return ("data.cache" if key == "cache" else key), value


def is_file(argument: str) -> bool:
    """Tell whether an argument names a YAML file: it has no ``=``, or one in the name of a file that is there."""
    return "=" not in argument or (field_type(Config, split_argument(argument)[0]) is None and Path(argument).is_file())


# A run may have any name.
_NEVER_EMPTY = ("run.name",)


def _typed(argument: str) -> Any:
    """Return the nested configuration that a ``key=value`` argument means."""
    from omegaconf import OmegaConf

    key, value = split_argument(argument)
    kind = field_type(Config, key)
    try:
        if kind in (None, Any) or key.partition(".")[0] == "trainer":  # of those of Lightning the types are not known
            return OmegaConf.from_dotlist([f"{key}={'null' if value == 'None' else value}"])
        found = read_typed(value, kind, null=key not in _NEVER_EMPTY)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{argument}: wrong value for `{key}`: {error}.") from error
    except Exception as error:  # yaml raises several unrelated classes
        raise UserError(f"{argument}: not a readable key=value argument ({_one_line(error)}).") from error
    nested = escaped(found)
    for name in reversed(key.split(".")):
        nested = {name: nested}
    return OmegaConf.create(nested)


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
        tree = _merge(tree, OmegaConf.create(escaped(defaults)), "stored configuration")
    # Files first, whatever the order on the line: an argument is always meant to win over a file.
    for argument in arguments:
        if is_file(argument):
            if argument.startswith("-"):
                raise UserError(f"{argument}: unknown flag; options are written key=value, without hyphens.")
            tree = _merge(tree, _load_yaml(Path(argument)), argument)
    for argument in arguments:
        if not is_file(argument):
            tree = _merge(tree, _typed(argument), argument)
    try:
        config = OmegaConf.to_object(tree)
    except OmegaConfBaseException as error:
        raise UserError(f"configuration: {_one_line(error)}.") from error
    assert isinstance(config, Config)
    return config


def config_to_dict(config: Config) -> dict[str, Any]:
    """Return the configuration as nested dictionaries of primitives; without ``resume``, which is of one call."""
    return {key: value for key, value in asdict(config).items() if key != "resume"}


def to_yaml(tree: dict[str, Any]) -> str:
    """Return nested options as YAML that :func:`load_config` reads as the same."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(escaped(tree)))


def save_config(config: Config, path: Path) -> None:
    """Write the resolved configuration as YAML."""
    path.write_text(to_yaml(config_to_dict(config)), encoding="utf-8", errors="surrogateescape")
