"""The configuration of a run as it is kept: written, and read by this version and later ones."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tpl_lightning.config.loading import load_config, read_yaml
from tpl_lightning.config.retired import RENAMED, is_retired
from tpl_lightning.config.tree import Config, config_to_dict, flattened, nested
from tpl_lightning.config.typed import escaped
from tpl_lightning.errors import UserError


def _load_stored(stored: Mapping[str, Any], origin: str) -> Config:
    flat, known = flattened(stored), flattened(config_to_dict(Config()))
    kept = {key: value for key, value in flat.items() if key in known or key in RENAMED or key.startswith("trainer.")}
    unknown = [key for key in flat if key not in kept and not is_retired(key)]
    if unknown:
        names = ", ".join(unknown)
        print(f"tpl: warning: {origin}: options of another version, left out: {names}", file=sys.stderr)
    try:
        return load_config(defaults=nested(kept))
    except UserError as error:
        raise UserError(f"{origin}: made by another version, and {error}") from error


def complete_config(stored: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return stored options as this version has them: without those that it does not know, defaults for the others.

    Args:
        stored: What :func:`config_to_dict` gave, of this version or another.
        origin: Where they come from, for messages.

    Raises:
        UserError: If a value is refused today.
    """
    return config_to_dict(_load_stored(stored, origin))


def load_run_config(path: Path) -> Config:
    """Read the config.yaml of a run, made by this version or another.

    Raises:
        UserError: If it is missing, unreadable, or holds a value that is refused today.
    """
    return _load_stored(read_yaml(path), str(path))


def changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the options, by dotted keys, that are not the same in two trees, with both values; None where missing."""
    before, after = ({key: value for key, value in flattened(tree).items() if value != {}} for tree in (was, now))
    both = {key: (before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys())}
    return {key: (one, other) for key, (one, other) in both.items() if one != other}


def differences(config: Config) -> dict[str, Any]:
    """Return the options, nested, that are not as their method has them: the method itself and what was given."""
    usual = config_to_dict(load_config([f"method={config.method}"]))
    found = changed(usual, config_to_dict(config))
    return nested({"method": config.method, **{key: now for key, (_, now) in found.items()}})


def to_yaml(tree: dict[str, Any]) -> str:
    """Return nested options as YAML that :func:`load_config` reads as the same."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(escaped(tree)))


def save_config(config: Config, path: Path) -> None:
    """Write the resolved configuration as YAML."""
    path.write_text(to_yaml(config_to_dict(config)), encoding="utf-8", errors="surrogateescape")
