"""difw's C++ flow as a second backend, built with safe flags and checked before it is used.

difw 0.0.31 compiles itself at import with -Ofast -ffast-math. Its code relies on infinities, which those flags
forbid; with GCC 12 warps then leave [0, 1] and are not monotone, without any error. The same source built with
-O2 is right to float32 precision. Here it is built once into the user's cache folder; ``import difw`` itself
never happens.
"""

import os
import platform
import shutil
import sys
import tempfile
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from tpl_lightning.errors import UserError
from tpl_lightning.functional import Float
from tpl_lightning.functional.warps.tessellation import velocity_basis

_FLAGS = ["-O2", "-std=c++20"]
_NAME = "tpl_difw_cpu"
_WAY_OUT = "use warp.backend=torch, which needs no compiler and is faster"


def build_folder() -> Path:
    """Return the folder of the built extension: one per version of difw, torch and Python."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    python = f"py{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}"
    return root / "tpl_lightning" / f"difw-{version('difw')}-torch-{torch.__version__}-{python}"


def _build(target: Path) -> None:
    """Compile difw's sources beside the target, then rename: a killed build leaves nothing that looks whole."""
    from torch.utils import cpp_extension

    if shutil.which(os.environ.get("CXX", "c++")) is None:
        raise UserError(
            f"warp.backend=difw: expected a C++ compiler (c++, or $CXX), found none; install g++, or {_WAY_OUT}."
        )
    package = find_spec("difw")
    assert package is not None
    assert package.origin is not None
    root = Path(package.origin).parent
    sources = [root / "backend/pytorch/transformer.cpp", root / "core/cpab_ops.cpp"]
    target.parent.mkdir(parents=True, exist_ok=True)
    path = os.environ["PATH"]
    # ninja may be installed in this virtual environment only, whose folder is on PATH only if it is activated.
    os.environ["PATH"] = os.pathsep.join([path, str(Path(sys.executable).parent)])
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            cpp_extension.load(
                name=_NAME,
                sources=[str(source) for source in sources],
                extra_cflags=_FLAGS,
                build_directory=folder,
                verbose=False,
                is_python_module=False,
            )
            (Path(folder) / f"{_NAME}.so").replace(target)
    except (RuntimeError, OSError, ImportError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        found = next((line for line in lines if "error:" in line), lines[0])
        raise UserError(f"warp.backend=difw: cannot be compiled ({found.strip()}); {_WAY_OUT}.") from error
    finally:
        os.environ["PATH"] = path


@lru_cache(maxsize=1)
def load_difw() -> ModuleType:
    """Return difw's compiled CPU functions, built on first use (about half a minute) and checked on every load.

    Raises:
        UserError: If no compiler is found, the build fails, or a known warp comes out wrong.

    Example:
        >>> functions = load_difw()  # doctest: +SKIP
    """
    target = build_folder() / f"{_NAME}.so"
    if not target.is_file():
        print("Building difw with safe flags (once, about half a minute) ...", file=sys.stderr)
        _build(target)
    spec = spec_from_file_location(_NAME, target)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise UserError(
            f"{target}: cannot be loaded ({error}); delete it to have it built anew, or {_WAY_OUT}."
        ) from error
    check_known_warp(module, target)
    return module


def check_known_warp(module: ModuleType, target: Path) -> None:
    """With 2 cells and v(1/2) = -1/4 a point x <= 1/2 moves to x e^(-1/2); the ends stay."""
    points = torch.tensor([0.0, 0.1, 0.25, 0.5, 1.0])
    expected = points * torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0]) * torch.exp(torch.tensor(-0.5))
    expected[-1] = 1.0
    found = module.integrate_closed_form(points, torch.tensor([[-0.5]]), 1.0, _affine_basis(2, True), 0.0, 1.0, 2)[0]
    if not torch.allclose(found, expected, atol=1e-6):
        raise UserError(
            f"{target}: a known warp comes out as {found.tolist()}, expected {expected.tolist()}; "
            f"delete the file to have it built anew, or {_WAY_OUT}."
        )


@lru_cache(maxsize=64)
def _affine_basis(num_cells: int, zero_boundary: bool) -> Tensor:
    """Return our basis in difw's layout: (2 K, d) float32, slope and intercept of each cell in turn."""
    knots = velocity_basis(num_cells, zero_boundary=zero_boundary)
    slope = knots.diff(dim=1) * num_cells
    left = torch.arange(num_cells, dtype=knots.dtype) / num_cells
    return torch.stack([slope, knots[:, :-1] - slope * left], -1).flatten(1).T.float().contiguous()


class _Flow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, theta: Tensor, points: Tensor, num_cells: int, zero_boundary: bool) -> Tensor:  # type: ignore[override]
        basis = _affine_basis(num_cells, zero_boundary)
        trace = load_difw().integrate_closed_form_trace(points, theta, 1.0, basis, 0.0, 1.0, num_cells)
        ctx.save_for_backward(trace, points, theta)
        ctx.sizes = num_cells, zero_boundary
        return trace[..., 0].contiguous()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:  # type: ignore[override]
        trace, points, theta = ctx.saved_tensors
        num_cells, zero_boundary = ctx.sizes
        rest = (_affine_basis(num_cells, zero_boundary), 0.0, 1.0, num_cells)
        by_theta = load_difw().derivative_closed_form_trace(trace, points, theta, *rest)
        by_x = load_difw().derivative_space_closed_form(points, theta, 1.0, *rest)
        return torch.einsum("bp,bpd->bd", grad, by_theta), grad * by_x, None, None


def cpab_warp_difw(
    theta: Float[Tensor, "B d"], points: Float[Tensor, "*B P"], *, num_cells: int = 16, zero_boundary: bool = True
) -> Float[Tensor, "B P"]:
    """Return T^theta(x) by difw's compiled flow; arguments and convention as ``functional.warps.cpab.cpab_warp``.

    float32 on the CPU only: tensors elsewhere, or in float64, are brought there and back. The gradient is difw's.

    Raises:
        UserError: If difw cannot be built or is wrong here.

    Example:
        >>> cpab_warp_difw(torch.zeros(1, 15), torch.linspace(0, 1, 3)).tolist()  # doctest: +SKIP
        [[0.0, 0.5, 1.0]]
    """
    dtype, device = torch.promote_types(theta.dtype, points.dtype), theta.device
    points = points.expand(len(theta), -1) if points.dim() == 1 else points
    with torch.autocast(device.type, enabled=False):
        inputs = (t.to("cpu", torch.float32).contiguous() for t in (theta, points))
        return _Flow.apply(*inputs, num_cells, zero_boundary).to(device, dtype)
