"""Where a run is mirrored to, decided without asking the network."""

import netrc
import os
from pathlib import Path
from urllib.parse import urlparse

__all__ = ["choose_mode", "find_login"]

_MODES = {"online": "online", "offline": "offline", "disabled": "disabled", "dryrun": "offline", "run": "online"}


def _netrc_path() -> Path:
    given = os.environ.get("NETRC")
    return Path(given).expanduser() if given else Path.home() / ".netrc"


def find_login() -> str | None:
    """Say where a login to W&B is found, None where there is none: an API key, a token file, or .netrc."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        if os.environ.get(name):
            return name
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        path = _netrc_path()
        return str(path) if path.is_file() and host in netrc.netrc(str(path)).hosts else None
    except (OSError, RuntimeError, netrc.NetrcParseError):
        return None


def choose_mode(requested: str) -> tuple[str, str]:
    """Choose where a run goes.

    Args:
        requested: ``run.wandb``.

    Returns:
        ``online``, ``offline`` or ``disabled``, and why.
    """
    if requested != "auto":
        return requested, f"run.wandb={requested}"
    wanted = os.environ.get("WANDB_MODE", "").lower()
    if wanted in _MODES:
        return _MODES[wanted], f"WANDB_MODE={wanted}"
    if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1"):
        return "disabled", "WANDB_DISABLED"
    login = find_login()
    return ("offline", "no login found") if login is None else ("online", f"login in {login}")
