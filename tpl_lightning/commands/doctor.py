"""``tpl doctor``: what works on this machine."""

from importlib.metadata import PackageNotFoundError, version

from tpl_lightning.errors import UserError

__all__ = ["main"]

_PACKAGES = ("torch", "lightning", "torchmetrics", "difw", "omegaconf", "h5py", "wandb", "scikit-image", "av")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _wandb_state() -> str:
    """Tell whether a key for W&B is stored, without a network call."""
    import netrc
    import os

    if os.environ.get("WANDB_MODE") in {"offline", "disabled"}:
        return os.environ["WANDB_MODE"]
    if os.environ.get("WANDB_API_KEY"):
        return "logged in (WANDB_API_KEY)"
    try:
        hosts = netrc.netrc().hosts
    except (OSError, netrc.NetrcParseError):
        hosts = {}
    return "logged in (netrc)" if "api.wandb.ai" in hosts else "no login: runs stay offline"


def main(arguments: list[str]) -> int:
    """Print versions, devices, W&B state and the self-test of the warps; exit code 1 if the test fails."""
    if set(arguments) & {"-h", "--help"}:
        print("usage: tpl doctor\nVersions, devices, W&B login and a one-second self-test of the warps.")
        return 0
    if arguments:
        raise UserError(f"tpl doctor: takes no arguments, but got {arguments[0]!r}.")
    import torch
    from rich.console import Console
    from rich.table import Table

    from tpl_lightning.functional.warp_check import backend_status, warp_self_test

    table = Table("what", "state")
    for package in _PACKAGES:
        table.add_row(package, _version(package))
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    table.add_row("CUDA devices", ", ".join(devices) or "none (the CPU is used)")
    table.add_row("CPU threads", str(torch.get_num_threads()))
    table.add_row("W&B", _wandb_state())
    status = backend_status()
    for name, state in status.items():
        table.add_row(f"warp backend {name}", state)
    test = warp_self_test(difw=status["difw"].startswith("works"))
    for name, value in test.items():
        table.add_row(f"warp self-test: {name}", str(value) if name == "ok" else f"{value:.1e}")
    Console().print(table)
    return 0 if test["ok"] else 1
