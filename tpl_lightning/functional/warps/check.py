"""A self-test of the warps on this machine, and which backends work."""

import torch

from tpl_lightning.errors import UserError
from tpl_lightning.functional.warps.cpab import cpab_warp
from tpl_lightning.functional.warps.difw_backend import cpab_warp_difw, load_difw


def backend_status() -> dict[str, str]:
    """Tell for each backend whether it works here; builds difw on the first call.

    Example:
        >>> backend_status()["torch"]  # doctest: +SKIP
        'works (closed form, every device)'
    """
    status = {"torch": "works (closed form, every device)"}
    try:
        load_difw()
        status["difw"] = "works (CPU, float32, built with -O2)"
    except UserError as error:
        status["difw"] = f"does not work: {error}"
    return status


def warp_self_test(*, difw: bool = False) -> dict[str, float | bool]:
    """Check random warps of 16 cells; takes less than a second.

    Args:
        difw: Compare with difw as well.

    Returns:
        Largest errors by name, and ``ok``: whether all are small enough.

    Example:
        >>> warp_self_test()["ok"]
        True
    """
    generator = torch.Generator().manual_seed(0)
    theta = 2 * torch.randn(32, 15, generator=generator, dtype=torch.float64)
    points = torch.rand(32, 100, generator=generator, dtype=torch.float64).sort(1).values
    warped = cpab_warp(theta, points)
    errors: dict[str, float] = {"inverse error": float((cpab_warp(-theta, warped) - points).abs().max())}
    errors["steps back"] = float((-warped.diff(dim=1)).clamp(min=0).max())
    edge = cpab_warp(theta, torch.tensor([0.0, 1.0], dtype=torch.float64))
    errors["moved ends"] = float((edge - torch.tensor([0.0, 1.0])).abs().max())
    # Cell 0 of a field with one knot at 1/2: x e^(-1/2).
    known = cpab_warp(torch.tensor([[-0.5]]).double(), torch.tensor([0.25]).double(), num_cells=2)
    errors["known warp"] = abs(float(known) - 0.25 * 2.718281828459045**-0.5)
    step = 1e-6 * torch.randn(32, 15, generator=generator, dtype=torch.float64)
    moving = theta.clone().requires_grad_()
    gradient = torch.autograd.grad(cpab_warp(moving, points).sum(), moving)[0]
    slope = (cpab_warp(theta + step, points) - cpab_warp(theta - step, points)).sum() / 2
    errors["gradient error"] = float((slope - (gradient * step).sum()).abs() / slope.abs())
    allowed = {"inverse error": 1e-6, "gradient error": 1e-4}
    ok = all(error <= allowed.get(name, 1e-9) for name, error in errors.items())
    if difw:
        errors["difference to difw"] = float((cpab_warp_difw(theta, points) - warped).abs().max())
        ok = ok and errors["difference to difw"] < 1e-4
    return {**errors, "ok": ok}
