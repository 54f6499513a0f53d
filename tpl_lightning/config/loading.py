"""How the options are filled.

Order of precedence: the defaults of the dataclasses < YAML files from left to right < ``key=value`` arguments.
This module imports neither torch nor anything else of the package but its own room and the error class, so that a wrong
key is reported at once.
"""

import glob
import math
import os
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from tpl_lightning.config.check import near_miss, require
from tpl_lightning.config.packaged import find_yaml, packaged_names
from tpl_lightning.config.presets import PRESETS
from tpl_lightning.config.retired import as_today
from tpl_lightning.config.tree import Config, config_to_dict, flattened, nested
from tpl_lightning.config.typed import escaped, field_type, read_typed
from tpl_lightning.errors import FileError, UserError, first_line


def load_yaml(path: Path, kind: str = ".") -> dict[str, Any]:
    """Return what a YAML file, or a packaged one of a kind, holds; what refers to the environment stays so.

    Raises:
        UserError: If it is missing or unreadable, or holds no ``key: value`` lines.
    """
    from omegaconf import DictConfig, OmegaConf

    found = find_yaml(path, kind)
    if not found.is_file():
        raise FileError(
            f"{path}: no such configuration file; give an existing YAML, or one of the package: {packaged_names(kind)}."
        )
    try:
        loaded = OmegaConf.load(found)
    except Exception as error:  # yaml raises several unrelated classes
        raise FileError(f"{path}: not a readable YAML file ({first_line(error)}); mend it.") from error
    if not isinstance(loaded, DictConfig):
        raise UserError(f"{path}: expected `key: value` lines at the top level, but got a list; mend it.")
    return _container(loaded)


def _container(tree: Any) -> dict[str, Any]:
    from omegaconf import OmegaConf

    container = OmegaConf.to_container(tree)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the options of a YAML file, or of a packaged one, by dotted keys.

    ``data.cache`` is read from the file's own folder where there is none from the working directory.

    Raises:
        UserError: As :func:`load_yaml`.
    """
    options, folder = flattened(load_yaml(path)), find_yaml(path).parent
    cache = options.get("data.cache")
    if isinstance(cache, str) and not glob.glob(cache) and glob.glob(str(folder / cache)):
        options["data.cache"] = str(folder / cache)
    return options


def _merge(base: Any, update: dict[str, Any], origin: str) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.merge(base, nested(update))
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        key = getattr(error, "full_key", None) or getattr(error, "key", None) or "?"
        message = first_line(error)
        if "not in" in message:
            meant = near_miss(str(key), flattened(config_to_dict(Config())))
            message = f"unknown key `{key}`{meant}; `tpl fit --help` lists the keys"
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


def _typed(argument: str) -> dict[str, Any]:
    """Return the options that a ``key=value`` argument means, by dotted keys."""
    from omegaconf import OmegaConf

    key, value = split_argument(argument)
    kind = field_type(Config, key)
    try:
        is_group = is_dataclass(kind) and value.lstrip().startswith("{")
        # Of the options of Lightning the types are not known.
        if kind in (None, Any) or is_group or key.partition(".")[0] == "trainer":
            return flattened(_container(OmegaConf.from_dotlist([f"{key}={'null' if value == 'None' else value}"])))
        found = read_typed(value, kind, null=key not in _NEVER_EMPTY)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{argument}: wrong value for `{key}`: {error}.") from error
    except Exception as error:  # yaml raises several unrelated classes
        raise UserError(f"{argument}: not a readable key=value argument ({first_line(error)}).") from error
    return {key: escaped(found)}


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

    updates = [(flattened(escaped(defaults)), origin)] if defaults else []
    # Files first, whatever the order on the line: an argument is always meant to win over a file.
    for argument in filter(is_file, arguments):
        if argument.startswith("-"):
            raise UserError(f"{argument}: unknown flag; options are written key=value, without hyphens.")
        updates.append((read_yaml(Path(argument)), argument))
    updates += [(_typed(argument), argument) for argument in arguments if not is_file(argument)]
    updates = [(as_today(update, origin), origin) for update, origin in updates]
    method = next((update["method"] for update, _ in reversed(updates) if "method" in update), Config.method)
    tree = OmegaConf.merge(OmegaConf.structured(Config), PRESETS.get(str(method), {}))
    for update, origin in updates:
        tree = _merge(tree, update, origin)
    try:
        config = OmegaConf.to_object(tree)
    except OmegaConfBaseException as error:
        raise UserError(f"configuration: {first_line(error)}.") from error
    assert isinstance(config, Config)
    _check_finite(config)
    return config


def _check_finite(config: Config) -> None:
    for key, value in flattened(config_to_dict(config)).items():
        for number in value if isinstance(value, list) else [value]:
            is_finite = not isinstance(number, float) or math.isfinite(number)
            require(is_finite, key, "a finite number", value)
