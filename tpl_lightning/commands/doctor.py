"""``tpl doctor``: what works on this machine.

usage: tpl doctor
Versions, devices, W&B login and a one-second self-test of the warps.
"""

import platform
from importlib.metadata import PackageNotFoundError, version

from tpl_lightning import tracking
from tpl_lightning.errors import UserError
from tpl_lightning.functional import warps

_PACKAGES = ("torch", "lightning", "torchmetrics", "difw", "omegaconf", "h5py", "wandb", "scikit-image", "av")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _devices() -> dict[str, str]:
    """Name the devices that torch sees."""
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    counts = [f"{names.count(name)} x {name}" for name in dict.fromkeys(names)]
    devices = {"CUDA": f"{', '.join(counts)}; CUDA {torch.version.cuda}" if names else "none (the CPU is used)"}
    if torch.backends.mps.is_available():
        devices["MPS"] = "available (warps in float32)"
    return {**devices, "CPU threads": str(torch.get_num_threads())}


def main(arguments: list[str]) -> int:
    """Print versions, devices, W&B state and the self-test of the warps; exit code 1 if the test fails."""
    if arguments:
        raise UserError(f"tpl doctor: takes no arguments, but got {arguments[0]!r}.")
    import time

    from rich.console import Console
    from rich.table import Table

    table = Table("what", "state")
    table.add_row("Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}")
    for package in _PACKAGES:
        table.add_row(package, _version(package))
    mode, why = tracking.choose_mode("auto")
    for name, state in {**_devices(), "W&B": f"{mode} ({why})"}.items():
        table.add_row(name, state)
    status = warps.backend_status()
    for name, state in status.items():
        table.add_row(f"warp backend {name}", state)
    start = time.perf_counter()
    test = warps.warp_self_test(difw=status["difw"].startswith("works"))
    seconds = time.perf_counter() - start
    verdict = f"passed in {seconds:.2f} s" if test.pop("ok") else "FAILED"
    for name, value in test.items():
        table.add_row(f"warps: {name}", f"{value:.1e}")
    table.add_row("warps: self-test", verdict)
    Console().print(table)
    return 1 if verdict == "FAILED" else 0
