"""The configuration of a run as it is kept: written, and read by this version and later ones."""

import sys
from pathlib import Path
from typing import Any

from tpl_lightning.config.loading import load_config, read_yaml
from tpl_lightning.config.retired import RENAMED, is_retired
from tpl_lightning.config.tree import Config, config_to_dict
from tpl_lightning.config.typed import escaped
from tpl_lightning.errors import UserError

__all__ = ["complete_config", "differences", "load_run_config", "save_config", "to_yaml"]


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
        if f"{prefix}{key}" in RENAMED:
            kept[key] = value
        elif key not in known:
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
    return load_config(defaults=complete_config(read_yaml(path), str(path)))


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
