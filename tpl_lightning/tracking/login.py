"""Where a run is logged to, decided without asking the network."""

import netrc
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_MODES = {"online": "online", "offline": "offline", "disabled": "disabled", "dryrun": "offline", "run": "online"}
_CLOUD = "https://api.wandb.ai"


def find_login() -> str | None:
    """Say where a login to W&B is found, as wandb itself looks for it; None where there is none.

    The server is that of WANDB_BASE_URL or of wandb's settings files, the key that of the environment, of .netrc (by
    host and port), or of the settings. The network is not asked.
    """
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        if os.environ.get(name):
            return name
    try:
        host = os.environ.get("WANDB_BASE_URL") or wandb_settings().base_url or _CLOUD
        return f"wandb's settings for {host}" if _has_key(host) else None
    except Exception:  # wandb is missing or broken, or what it found is no key
        return None


def wandb_settings() -> Any:
    """Return wandb's settings as its files and the environment give them."""
    from wandb.sdk import wandb_setup

    return wandb_setup.singleton().settings  # wandb.setup() would start its service


def _has_key(host: str) -> bool:
    try:
        from wandb.sdk.lib.wbauth import authenticate_session
    except ImportError:  # an older wandb has it elsewhere
        path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
        found = path.is_file() and netrc.netrc(str(path)).authenticators(urlsplit(host).netloc)
        return bool(found or wandb_settings().api_key)
    return authenticate_session(host=host, source="tpl", prompt=False, update_session=False) is not None


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
